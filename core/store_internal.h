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
 *     store_put.c      frames to disk
 *     store_link.c     where a symlink may lead, and how it is made
 *     store_commit.c   modes, times, links, sync, rename, clean-up
 */
#ifndef CORE_STORE_INTERNAL_H
#define CORE_STORE_INTERNAL_H

#include "core/bits.h"
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

struct store_skip {
    uint32_t entry;
    int why;
};

struct store {
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
};

/* --- store.c --- */

struct worker;

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

/* What one thread needs to get at files; borrowed for one call. The cursor is at the entry at hand:
 * move it with catalog_at or catalog_chunk. */
struct worker {
    struct worker *next;
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
void worker_put(struct store *s, struct worker *w); /* takes NULL */
void store_drop_workers(struct store *s);

/* The held folder of the entry at hand, good until the next call; w->name is its name in there. */
int worker_dir(struct store *s, struct worker *w);
/* Its file, open for reading and writing; give it to worker_done. */
int worker_file(struct store *s, struct worker *w);
void worker_done(struct worker *w, int file);
int worker_stat(struct store *s, struct worker *w, struct stat *st);
int worker_buffer(struct worker *w);

int store_open_data(struct store *s); /* 0 also when it is not there yet */
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
/* Mode and mtime of the entry at hand as the manifest has them; st: as they are. */
int worker_settle(struct store *s, struct worker *w, const struct stat *st);

/* The mode an entry gets in the end, and whether we can work with it until then. */
static inline mode_t store_mode(const struct store *s, const struct manifest_entry *e) {
    return e->mode & 0777 & ~s->umask;
}
static inline bool store_mode_works(const struct store *s, const struct manifest_entry *e) {
    mode_t need = e->kind == WIRE_DIR ? 0700 : 0600;
    return (store_mode(s, e) & need) == need;
}

/* --- store_link.c --- */

int worker_link_is_safe(struct worker *w);               /* 1; 0: it leads out of the selection */
int worker_make_link(struct store *s, struct worker *w); /* replaces one of an earlier run */
bool store_link_is_refused(int err); /* the link is left out, the others go on */

/* --- store_commit.c --- */

/* DEST/NAME is the result of an earlier run, which may have ended before it had its own mode. */
int store_lock_result(struct store *s);

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

/* The first chunk of [chunk, end) that may be present, or end: passes over holes of the journal, so
 * that a file of any size is looked at in the time that its chunks on disk take. */
uint64_t slots_skip(const struct slots *w, uint64_t chunk, uint64_t end);

/* What is about to be overwritten is not here any more: a crash in between must not leave slots
 * that belong to other bytes. */
int store_forget(struct store *s, uint64_t first, uint32_t n);
/* Is there nothing but a hole? False also if the file system cannot tell. */
bool store_is_hole(int fd, uint64_t offset, uint64_t len);

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

/* --- for tests --- */

/* Called before each step that a crash could follow; NULL: nobody looks. */
extern void (*store_step_hook)(const char *name);

static inline void store_step(const char *name) {
    if (store_step_hook)
        store_step_hook(name);
}

#endif
