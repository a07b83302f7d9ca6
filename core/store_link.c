/* SPDX-License-Identifier: MIT */
/* store_link -- the symlinks of a selection: where they may lead, and how they are made */
#include "core/store_internal.h"

#include "core/err.h"
#include "core/fs.h"

#include <errno.h>
#include <string.h>

/* Where a link may point: up to the folder of the selection and down again, never beyond. ".." is
 * counted only in front: behind a name, which may be a link itself, nobody knows where it leads. */
static bool leaves_selection(struct bytes target, unsigned depth) {
    const char *at = (const char *)target.at, *end = at + target.len;
    bool went_down = false;
    if (target.len == 0 || *at == '/')
        return true;
    while (at < end) {
        const char *slash = memchr(at, '/', (size_t)(end - at));
        size_t len = (size_t)((slash ? slash : end) - at);
        bool up = len == 2 && at[0] == '.' && at[1] == '.';
        if (up && (went_down || depth-- == 0))
            return true;
        if (!up && len > 0 && !(len == 1 && *at == '.'))
            went_down = true;
        at += len + 1;
    }
    return false;
}

/* Folders between the selection's own and this link. */
static int depth_of_folder(struct worker *w, unsigned *depth) {
    int rc = catalog_path(&w->up, w->cur.entry.parent, w->path);
    if (rc)
        return rc;
    *depth = w->path[0] != 0;
    for (const char *at = w->path; *at; at++)
        *depth += *at == '/';
    return 0;
}

int worker_link_is_safe(struct worker *w) {
    unsigned depth = 0;
    if (w->cur.index == 0) /* itself the selection: everything else is outside */
        return 0;
    int rc = depth_of_folder(w, &depth);
    return rc ? rc : !leaves_selection(w->cur.entry.target, depth);
}

int worker_make_link(struct store *s, struct worker *w) {
    char target[PATH_MAX_LEN + 1];
    memcpy(target, w->cur.entry.target.at, w->cur.entry.target.len);
    target[w->cur.entry.target.len] = 0;
    int dir = worker_dir(s, w);
    int rc = dir < 0 ? dir : fs_symlink(dir, w->name, target);
    if (rc == -EEXIST) {
        rc = worker_clear(s, w);
        if (rc > 0) /* of an interrupted commit */
            rc = fs_unlink(dir, w->name);
        if (!rc)
            rc = fs_symlink(dir, w->name, target);
    }
    return rc ? rc : store_lenient(fs_set_mtime(dir, w->name, w->cur.entry.mtime_ns));
}

bool store_link_is_refused(int err) {
    return err == ERR_LINK || store_is_refused(err) || err == -EPERM || err == -EOPNOTSUPP;
}
