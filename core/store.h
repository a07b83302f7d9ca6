/* SPDX-License-Identifier: MIT */
/*
 * store -- one download on disk: staging folder, journal, commit
 *
 *     store_open            DEST/NAME.lanyard-part/ {manifest, journal, data}; locked
 *       store_manifest_begin, _page ..., _end      unless the one that is here is the right one
 *       store_load          what is here: fills a plan with HAVE, CHECK, SUSPECT, ABSENT
 *       store_prepare       folders, file sizes, early ENOSPC check
 *       store_put           check and write one DATA frame
 *       store_check         re-read chunks in state CHECK           store_compare   SUSPECT ones
 *       store_commit        modes, mtimes, sync, links, rename, remove staging
 *     store_close           staging stays, unless it was committed
 *
 * Nothing appears under DEST/NAME before store_commit, which never replaces anything, unless it was
 * opened to update a copy that is there: then each file that differs is replaced by one rename.
 * store_open_same instead of store_open only compares: it writes nothing. All below DEST goes
 * through core/fs. Calls block; they run as jobs, one at a time, except store_put,
 * store_check and store_compare: several of them may run at once, for different chunks.
 */
#ifndef CORE_STORE_H
#define CORE_STORE_H

#include "core/catalog.h"
#include "core/holder.h"
#include "core/plan.h"
#include "proto/name.h"

#include <stdatomic.h>

struct store;

struct store_target {
    const char *dir;   /* DEST: must exist and be writable */
    const char *name;  /* NAME: one component, name_ok() */
    const char *path;  /* at the origin, for the journal */
    bool update;       /* DEST/NAME may exist: bring it up to date */
    bool unsafe_links; /* for store_open_same: those should be there, too */
};

/* 0: *s is open. ERR_EXISTS: DEST/NAME exists; if an earlier run ended between the rename of its
 * commit and the clean-up, staging is removed now, and who asks store_open_same knows whether
 * nobody has changed DEST/NAME since. Of the staging folder, which is not touched then: ERR_HELD:
 * another process has it, see store_holder; ERR_FOREIGN: it is no folder, or holds something
 * without a journal of ours; ERR_OTHER_VERSION: another version of this program began it;
 * ERR_OWNER: another user did; ERR_MOUNT: it is a mount of its own; ERR_LOCKED: its modes, or those
 * of its files, keep us out. Other errors of the folder. A staging folder whose journal is ours but
 * torn, or whose manifest is not the journal's, keeps nothing: it is begun anew. */
int store_open(struct store **s, const struct store_target *t);
/* DEST/NAME exists; is it the very selection that a manifest lists? A store without staging folder,
 * in which store_load, store_compare and store_put end with ERR_EXISTS at the first difference. */
int store_open_same(struct store **s, const struct store_target *t);
void store_close(struct store *s); /* takes NULL */

/* The first difference, after that ERR_EXISTS: what is so with it. path: PATH_MAX_LEN + 1 bytes,
 * below NAME. NULL if there was none. */
const char *store_difference(struct store *s, char *path);
/* After store_commit of such a store: what an interrupted run has left beside DEST/NAME goes if it
 * is of this very selection, but for what is not of the download. True: it is of another one, and
 * stays. */
bool store_drop_left(struct store *s, const char *dir);
bool store_is_unchanged(const struct store *s); /* DEST/NAME was there, and is as it was */

/* After ERR_HELD: by whom? As holder_find. */
bool store_holder(const struct store_target *t, struct holder *h);

/* Where NAME.lanyard-part is longer than 255 bytes, NAME is cut (at a character) and followed by
 * "~" and 16 hex digits of its XXH3-64. */
void store_staging_name(const char *name, char out[static NAME_MAX_LEN + 1]);

/* The manifest that is here, or NULL. */
const struct catalog *store_catalog(const struct store *s);
const uint8_t *store_origin(const struct store *s); /* WIRE_KEY_LEN bytes: whose manifest it is */

/* A new manifest arrives. _end checks it, carries slots over (same path, kind, size, mtime and
 * version: kept; a changed file: SUSPECT; removed entries are removed from staging) and makes it
 * current: store_catalog() is another one then. A new origin makes every kept slot SUSPECT.
 * now_ns: the source's clock before it was listed. -EINVAL if it is not the one that was `said` to
 * come: nothing has changed, another one may be begun. After any other error only store_close may
 * follow. */
int store_manifest_begin(struct store *s, int64_t now_ns);
int store_manifest_page(struct store *s, const uint8_t *bytes, size_t len);
int store_manifest_end(struct store *s, const struct catalog_totals *said,
                       const uint8_t origin[static WIRE_KEY_LEN]);

/* The source's clock before the first listing that chunks which are here stem from: what was
 * modified just before it, or later, may have changed since without a trace. */
int64_t store_listed_ns(const struct store *s);

/* plan: new, for the catalog's chunks. Sets HAVE, CHECK and SUSPECT, FAILED for entries that an
 * update leaves out; the others stay ABSENT. ERR_KIND: what has the name is no copy of it. */
int store_load(struct store *s, struct plan *plan);

/* After store_load. ERR_NO_SPACE with *missing bytes, or the error of creating. A name that this
 * file system refuses (EILSEQ, EINVAL, ENAMETOOLONG, EEXIST) is skipped: see store_skipped. */
int store_prepare(struct store *s, uint64_t *missing);

/* One DATA frame that was decoded into m. results[i] for record i: 0 on disk; 1 skipped entry,
 * nothing to write; WIRE_ERR(CORRUPT): its digest is wrong, not written; WIRE_ERR(code) of an error
 * record; WIRE_ERR(PROTOCOL): wrong length for this chunk. Returns 0, or the error of the disk
 * (ERR_NO_SPACE, -EIO, ...), then results are not complete. */
int store_put(struct store *s, const struct msg *m, int *results);

/* Re-reads chunks in state CHECK: ok[i] says whether chunk first + i is what its slot says. */
int store_check(struct store *s, uint64_t first, uint32_t n, bool *ok);

enum store_verdict {
    STORE_OTHER, /* absent from now on */
    STORE_SAME,
    STORE_LEFT_OUT, /* it differs, and its entry is left out: the one that is there stays */
};
/* SUSPECT chunks: verdicts[i] says whether chunk first + i on disk has this digest at the source
 * (all zeros: it cannot say). Compares slots, re-reads only what is not believed, and reads what an
 * older copy has. For HAVE ones as well: did they change at the source? */
int store_compare(struct store *s, uint64_t first, uint32_t n, const uint8_t *digests,
                  enum store_verdict *verdicts);

/* Was it store_put in this run that brought what is here of the chunk? */
bool store_arrived(const struct store *s, uint64_t chunk);

/* Path below NAME of the entry that owns the chunk, for messages; static text if it cannot be
 * found. out: PATH_MAX_LEN + 1 bytes. */
void store_chunk_path(struct store *s, uint64_t chunk, char *out);

/* The same for the entry at which the last call failed; "" if it was none in particular. */
void store_failed_path(struct store *s, char *out);

/* Leaves the chunk's file out of the result, for this run. */
void store_skip_chunk(struct store *s, uint64_t chunk, int why);

/* Entries that were left out, without those below a folder that was. Calls fn for each of the first
 * 65536 (path as above, why: an error number). Returns how many there are. After store_commit also
 * folders that are there, but empty, because their source could not read them. */
uint32_t store_skipped(struct store *s, void (*fn)(void *arg, const char *path, int why),
                       void *arg);

/* Why the one thing that was asked for is left out, or 0. */
int store_why_nothing(const struct store *s);

/* What was found in `data` and is not of the download: it is in `kept` of the staging folder now,
 * which stays therefore. How many things, and the name of the first one, good until store_close. */
uint32_t store_kept(const struct store *s, const char **first);

struct store_commit_options {
    bool unsafe_links; /* keep symlinks whose target is absolute or leaves the selection */
};
/* -EINVAL if a chunk is missing or not checked yet. ERR_TAMPERED: somebody removed or replaced
 * something below staging: the next run sees to it. ERR_EXISTS: the target appeared meanwhile;
 * staging is kept. What was asked for was itself left out: why. An error of sync is final, the next
 * run reads everything again. ERR_NO_SPACE: see store_missing. */
int store_commit(struct store *s, const struct store_commit_options *o);
uint64_t store_missing(const struct store *s); /* bytes that store_commit lacked; 0: not known */

/* Once *stop is true, the long loops (load, prepare, check, commit) end with ERR_STOPPED.
 * stop must outlive the store. */
void store_set_stop(struct store *s, atomic_bool *stop);

#endif
