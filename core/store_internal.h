/* SPDX-License-Identifier: MIT */
/*
 * store_internal -- what the files of the store share; nobody else includes it
 *
 *     store.c          open, load what is there, close
 *     store_lock.c     the staging folder: its name, is it ours, one at a time
 *     store_tree.c     workers: from a chunk to a held folder or file; entries left out
 *     store_slots.c    which chunks are here: slots, belief, re-reading
 *     store_manifest.c a new manifest: carry slots over, make it current, sweep
 *     store_merge.c    two trees side by side
 *     store_prepare.c  folders, file sizes, free space
 *     store_check.c    re-read chunks; compare them with the source's digests
 *     store_kept.c     what is not of the download moves out of the way
 *     store_put.c      frames to disk
 *     store_link.c     where a symlink may lead, and how it is made
 *     store_commit.c   modes, times, links, sync, rename, clean-up
 *     store_old.c      the copy that is there already: what it has of the selection
 *     store_same.c     is it that very selection?
 *     store_stage.c    an update: what differs, whole in staging
 *     store_update.c   an update: one rename for each entry
 */
#ifndef CORE_STORE_INTERNAL_H
#define CORE_STORE_INTERNAL_H

#include "core/bits.h"
#include "core/fs.h"
#include "core/journal.h"
#include "core/store.h"
#include "core/walk.h"
#include "proto/name.h"

#include <pthread.h>
#include <sys/stat.h>

enum {
    STORE_SKIPS_MAX = 65536, /* entries left out whose names are remembered */
    STORE_WINDOW = 4096,     /* slots read at once */
    STORE_NONE = -1,
};

/* A name in the staging folder, for a moment: e with acute, composed. */
#define STORE_PROBE "\xc3\xa9"

/* What an update is about to put in the place of an old entry. */
#define STORE_NEXT "next"

struct store_skip {
    uint32_t entry;
    int why;
};

/* The copy that DEST/NAME is already. */
struct old {
    int folder;       /* STORE_NONE: it is not there, or no folder */
    int notes;        /* unlinked: a version for each entry, then a digest for each chunk */
    struct bits same; /* chunks that it has as the source has them: their digests are noted */
    struct worker *workers;
};

enum store_task {
    STORE_CREATES,  /* DEST/NAME, which was not there */
    STORE_UPDATES,  /* the copy that is there, file by file */
    STORE_COMPARES, /* it, and writes nothing: no staging folder, the journal is a temporary file */
};

struct store {
    enum store_task task;
    bool unsafe_links;          /* of the target */
    int dest, staging, journal; /* journal: locked */
    int data;                   /* the folder that is downloaded; STORE_NONE for one file */
    char name[NAME_MAX_LEN + 1], staging_name[NAME_MAX_LEN + 1];
    char path[JOURNAL_PATH_MAX]; /* at the origin */
    mode_t umask;
    bool empty;                   /* staging holds nothing worth keeping */
    bool resumed;                 /* `data` may hold something */
    bool folds;                   /* two names may mean the same file here */
    bool unclean;                 /* the disk had an error: re-read past the page cache */
    atomic_bool *stop;            /* may be NULL */
    struct catalog *catalog;      /* the manifest that is here, or NULL */
    struct catalog *incoming;     /* the one that arrives, or NULL */
    uint64_t chunks;              /* of catalog */
    uint64_t need;                /* bytes that are not here, in whole blocks */
    struct bits skipped, settled; /* entries: left out; mode and mtime are right already */
    struct bits arrived;          /* chunks that came in this run */
    struct bits arriving;         /* the same, for `incoming` */
    int64_t incoming_ns;          /* the source's clock before `incoming` was listed */
    struct bits unchecked;        /* chunks on disk that are not believed yet */
    bool candidates;              /* the journal may have some */
    atomic_uint unsynced;         /* small files since the last sync, see store_put.c */
    atomic_bool syncing;
    time_t written; /* when an earlier run wrote to the journal last; 0: none did */
    struct old old;
    uint64_t missing;   /* bytes, when an update ended with ERR_NO_SPACE */
    uint64_t n_changes; /* entries of DEST/NAME that were made, replaced, or given another mode */

    pthread_mutex_t lock;         /* for the rest */
    struct journal_header header; /* as on disk */
    bool believed;                /* what slots say is so, but for `unchecked` */
    bool failed;                  /* the disk had an error in this run */
    uint64_t n_unchecked;
    struct worker *workers; /* that nobody uses now */
    struct store_skip *skips;
    uint32_t n_skips, n_skipped; /* remembered; all */
    bool failed_at_entry;
    uint32_t failed_entry; /* where the last error came */
    uint32_t differs;      /* STORE_COMPARES: the entry that made it end, and why */
    const char *difference;
    char *extra;     /* the path of what the manifest does not list, if it was that; else NULL */
    uint32_t n_kept; /* things moved out of the way */
    char kept[NAME_MAX_LEN + 1]; /* the first of them */
};

/* --- store.c --- */

struct worker;

/* Whatever we write or remove in a staging folder, but for the journal; NULL at the end. */
extern const char *const store_files[];

/* Maps and remembers an error of the disk on its way up: ENOSPC, EDQUOT -> ERR_NO_SPACE, EIO makes
 * the next run verify everything. Takes 0 and above as well. */
int store_error(struct store *s, int err);
int store_error_at(struct store *s, const struct worker *w, int err); /* and remembers the entry */
int store_set_flags(struct store *s, unsigned set, unsigned clear);   /* in the journal, on disk */
int store_adopt(struct store *s, struct catalog *c); /* c is the manifest now; frees the old one */
int store_remove_staging(struct store *s);           /* the journal goes last */
void store_close_fd(int *fd);                        /* takes STORE_NONE, leaves it */

static inline bool store_stopped(const struct store *s) { return s->stop && *s->stop; }

/* --- store_lock.c --- */

/* The name of a folder like ours: taken from a peer, it could hold a download that the peer has
 * prepared, its bytes under another one's journal. */
bool store_is_staging(const char *name);
int store_lock(int fd); /* flock; ERR_HELD */
/* Opens or makes the staging folder, and locks it. ERR_HELD, ERR_EXISTS, ERR_FOREIGN, ERR_OWNER,
 * ERR_MOUNT: see store_open. */
int store_lock_staging(struct store *s);

/* --- store_tree.c --- */

/* What one thread needs to get at files, those in staging or those of the old copy; borrowed for
 * one call. The cursor is at the entry at hand: move it with catalog_at or catalog_chunk. */
struct worker {
    struct worker *next;
    bool old;                      /* its files are those of the old copy */
    struct catalog_cursor cur, up; /* up: for the paths of folders */
    int dir;                       /* held: folder of the entries that follow each other */
    uint32_t dir_index;
    int file; /* held: the last file of several chunks */
    uint32_t file_index;
    uint64_t unsynced; /* bytes written to it since the kernel was last told to begin */
    uint8_t *chunk;    /* WIRE_CHUNK_SIZE bytes, NULL until worker_buffer */
    char path[PATH_MAX_LEN + 1], name[NAME_MAX_LEN + 1];
};
int worker_get(struct store *s, struct worker **w);
int worker_get_old(struct store *s, struct worker **w);
void worker_put(struct store *s, struct worker *w); /* takes NULL */
void store_drop_workers(struct store *s);

/* The held folder of the entry at hand, good until the next call; w->name is its name in there. */
int worker_dir(struct store *s, struct worker *w);
/* Its file, open for reading and, in staging, writing; give it to worker_done. */
int worker_file(struct store *s, struct worker *w);
void worker_done(struct worker *w, int file);
void worker_forget_dir(struct worker *w); /* the next worker_dir opens it anew */
int worker_stat(struct store *s, struct worker *w, struct stat *st);
int worker_buffer(struct worker *w); /* w->chunk is there */

int store_open_data(struct store *s); /* 0 also when it is not there yet */
int store_open_folder(struct store *s, struct worker *w, uint32_t index); /* the caller's */
void store_skip(struct store *s, uint32_t entry, int why);
/* Reports an entry as store_skip does, but leaves it where it is; once for each entry. */
void store_tell(struct store *s, uint32_t entry, int why);
bool store_is_refused(int err); /* the file system does not take this name */
/* After EEXIST: is it this very name that exists? 1, or 0: another one that means the same here. */
int worker_name_exists(struct store *s, struct worker *w);
/* File systems without owners, modes or times (FAT, some FUSE) refuse to set them: what they cannot
 * keep is no reason to fail. */
int store_lenient(int err);
static inline bool store_same_kind(mode_t mode, uint8_t kind) {
    return (S_ISREG(mode) && kind == WIRE_FILE) || (S_ISDIR(mode) && kind == WIRE_DIR) ||
           (S_ISLNK(mode) && kind == WIRE_SYMLINK);
}
bool store_has_mtime(const struct stat *st, int64_t mtime_ns);
/* Does the entry at hand have the mode and mtime of the manifest? st: what it has. */
bool worker_is_settled(const struct store *s, const struct worker *w, const struct stat *st);
/* Gives it those. */
int worker_settle(struct store *s, struct worker *w, const struct stat *st);

/* The mode an entry gets in the end, and whether we can work with it until then. */
static inline mode_t store_mode(const struct store *s, const struct manifest_entry *e) {
    return e->mode & 0777 & ~s->umask;
}
static inline bool store_mode_works(const struct store *s, const struct manifest_entry *e) {
    mode_t need = e->kind == WIRE_DIR ? 0700 : 0600;
    return (store_mode(s, e) & need) == need;
}

/* --- store_slots.c --- */

struct slots { /* a window on the journal */
    int fd;
    uint64_t chunks;
    bool candidates;
    uint64_t first;
    uint32_t n;
    uint8_t *digests, *old; /* STORE_WINDOW slots and candidates */
};
int slots_init(struct slots *w, int fd, uint64_t chunks, bool candidates);
void slots_clear(struct slots *w); /* takes a zeroed one */
/* Points to the chunk's slot and candidate; NULL for those that are absent. */
int slots_at(struct slots *w, uint64_t chunk, const uint8_t **slot, const uint8_t **old);

bool slot_is_absent(const uint8_t digest[static WIRE_DIGEST_LEN]);

/* The first chunk of [chunk, end) that may be present, or end: passes over holes of the journal, so
 * that a file of any size is looked at in the time that its chunks on disk take. */
uint64_t slots_skip(const struct slots *w, uint64_t chunk, uint64_t end);

/* What is about to be overwritten is not here any more: a crash in between must not leave slots
 * that belong to other bytes. */
int store_forget(struct store *s, uint64_t first, uint32_t n);
int store_settle_chunk(struct store *s, uint64_t chunk); /* of this one we know now */

/* --- store_manifest.c --- */

int store_sweep(struct store *s); /* removes from `data` what the manifest does not list */

/* --- store_merge.c --- */

/* One of two trees that both come in the order of a manifest. */
struct tree {
    int (*next)(struct tree *t); /* 1: the fields below are the next entry's; 0: there is none */
    uint32_t index, parent;
    bool is_dir;
    struct bytes name;
    bool end; /* private */
};

struct manifest_tree {
    struct tree tree;          /* first: the tree is the manifest_tree */
    struct catalog_cursor cur; /* the caller clears it */
};
void manifest_tree_init(struct manifest_tree *t, const struct catalog *c);

struct disk_tree {
    struct tree tree;  /* first: the tree is the disk_tree */
    struct walk *walk; /* the caller frees it */
    struct walk_entry entry;
    uint32_t n;
};
int disk_tree_init(struct disk_tree *t, int folder); /* hidden entries, too; folder is borrowed */

/* Calls `seen` for entries of `a`: matched, `b` stands at the entry of the same path; or not, there
 * is none. What lies below an entry without match, or below one that is a folder only on one side,
 * is passed over. */
int store_merge(struct tree *a, struct tree *b, int (*seen)(void *arg, bool matched), void *arg);

/* --- store_prepare.c --- */

/* Is there room for so many bytes? 0, or ERR_NO_SPACE and how many are missing. */
int store_check_space(const struct store *s, uint64_t need, uint64_t *missing);
int worker_make_file(struct store *s, struct worker *w); /* with its whole size, all holes */

/* --- store_check.c --- */

/* Is there nothing but a hole? False also if the file system cannot tell. */
bool store_is_hole(int fd, uint64_t offset, uint64_t len);
/* What begins there ends where, at `end` at the latest: a hole, or data. */
uint64_t store_extent(int fd, uint64_t offset, uint64_t end, bool *hole);
/* Digest of the chunk at hand as fd has it; -ENODATA if the file ends before it does. */
int worker_digest(struct store *s, struct worker *w, int fd, uint64_t chunk, uint8_t *digest);
/* The error of a file that is not as it should be: as if it had no bytes. */
bool store_is_unreadable(int err);

/* --- store_kept.c --- */

bool store_is_shared(const struct stat *st); /* a file that has another name as well */
/* Makes way for the entry at hand, after store_load. 1: what stands there is of its kind, and can
 * be used; 0: nothing stands there (any more): what does not belong there is in `kept`, of a file
 * that has another name this one is gone; -EEXIST: another name that means the same here. */
int worker_clear(struct store *s, struct worker *w);

/* A look at the folders of `data`, in the order of the manifest. */
struct tidy {
    struct store *s;
    struct worker *w;
    struct catalog_cursor kids;
    uint32_t next;     /* the entry where the names of the next folder begin */
    uint64_t *digests; /* of the names that are listed in the folder at hand */
    size_t n, cap;
};
void tidy_init(struct tidy *t, struct store *s, struct worker *w);
void tidy_clear(struct tidy *t);
/* Moves what the manifest does not list into `kept`. whole: all is to be there that is listed and
 * not left out, else ERR_TAMPERED. */
int tidy_folder(struct tidy *t, uint32_t folder, bool whole);
int store_tidy(struct store *s); /* all folders that are there */

/* --- store_put.c --- */

int store_put_zeros(const struct store *s, int fd, uint64_t offset,
                    uint64_t len); /* a hole, where that can be */

/* The kernel begins to bring the file to disk; left alone, it waits up to 30 s. A hint: nothing is
 * waited for, errors show at commit. */
void store_begin_sync(int fd);

/* --- store_link.c --- */

int worker_link_is_safe(struct worker *w);               /* 1; 0: it leads out of the selection */
int worker_make_link(struct store *s, struct worker *w); /* replaces one of an earlier run */
bool store_link_is_refused(int err); /* the link is left out, the others go on */

/* --- store_commit.c --- */

/* DEST/NAME is the result of an earlier run, which may have ended before it had its own mode. */
int store_lock_result(struct store *s);
int store_sync_dest(const struct store *s);               /* the folder around DEST/NAME */
int store_check_whole(struct store *s, struct worker *w); /* -EINVAL: some chunk is not here */

/* --- store_old.c --- */

/* Anew for the catalog that is current. */
int store_old_open(struct store *s);
void store_old_close(struct store *s);
/* The entry at hand: is it there? 0, and *size is the size of a file, else 0; 1: it is left out. */
int store_old_look(struct store *s, struct worker *w, uint64_t *size);
int store_old_compare(struct store *s, uint64_t chunk, const uint8_t *digest,
                      enum store_verdict *verdict);
int store_old_digest(const struct store *s, uint64_t chunk, uint8_t *digest); /* of one in `same` */
/* As it was when store_old_look saw it? 1 or 0. st: as it is; NULL: it is not there. */
int store_old_is(const struct store *s, uint32_t entry, const struct stat *st);
/* -ENOENT also if what is there is no folder on the way: nothing is below it then. */
int worker_stat_old(struct store *s, struct worker *w, struct stat *st);
int worker_link_is(struct store *s, struct worker *w); /* has the link its target? 1, 0 */
static inline bool store_is_newer(const struct stat *st, const struct manifest_entry *e) {
    struct timespec t = fs_timespec(e->mtime_ns);
    return st->st_mtim.tv_sec != t.tv_sec ? st->st_mtim.tv_sec > t.tv_sec
                                          : st->st_mtim.tv_nsec > t.tv_nsec;
}

/* --- store_same.c --- */

int store_differs(struct store *s, uint32_t entry, const char *why); /* remembers; ERR_EXISTS */
/* The entry at hand; st: what has its name, or NULL. 0; 1: it is rightly missing; ERR_EXISTS. */
int store_same_entry(struct store *s, struct worker *w, const struct stat *st);
/* After the entries: what the manifest does not list, and what was not told yet. */
int store_same_rest(struct store *s);
/* Data of a record, when nothing is to be written. */
int store_same_record(struct store *s, const struct wire_record *r);

/* --- store_stage.c, store_update.c --- */

struct update {
    struct store *s;
    struct worker *from, *to; /* in staging, in the old copy: at the same entry */
    struct bits staged;       /* entries that stand in staging to replace the old ones */
    uint32_t entries;
    bool unsafe_links;
};
/* The folders in staging on the way to the entry at hand: an update makes only those it needs. */
int store_make_way(struct store *s, struct worker *w);
int update_at(struct update *u, uint32_t index); /* 1: it is left out */
int update_leave(struct update *u, int why);     /* the entry at hand stays as it is; 0 */
int store_stage(struct update *u);  /* all that is to be replaced or made stands in staging */
void store_retire(struct store *s); /* an update is done: only clean-up is left, whatever happens */
int store_update(struct store *s, struct worker *w, const struct store_commit_options *o);

/* --- for tests --- */

/* Called before each step that a crash could follow; NULL: nobody looks. */
extern void (*store_step_hook)(const char *name);

static inline void store_step(const char *name) {
    if (store_step_hook)
        store_step_hook(name);
}

#endif
