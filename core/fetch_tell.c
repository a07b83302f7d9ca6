/* SPDX-License-Identifier: MIT */
/*
 * fetch_tell -- what the user is told: events, warnings, and why the disk here ends a download
 *
 * Each end says what is in the way, whether it was touched, and what to do.
 */
#include "core/fetch_internal.h"

#include "core/err.h"
#include "proto/name.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* NAME.lanyard-part, escaped. */
struct staging_shown {
    char text[4 * NAME_MAX_LEN + 1];
};

static struct staging_shown show_staging(const struct fetch *f) {
    char name[NAME_MAX_LEN + 1];
    struct staging_shown shown;

    store_staging_name(f->name, name);
    name_show(name, strlen(name), shown.text, sizeof shown.text);
    return shown;
}

/* ---- events ---- */

void fetch_say(struct fetch *f, struct fetch_event e) {
    if (f->store && store_catalog(f->store)) {
        e.bytes = catalog_totals(store_catalog(f->store))->bytes;
        e.entries = catalog_totals(store_catalog(f->store))->entries;
    }
    e.peer = e.peer ? e.peer : "";
    e.text = e.text ? e.text : "";
    e.done = f->have_bytes;
    e.fetched = f->fetched;
    for (unsigned i = 0; i < f->n_sources; i++)
        e.sources += f->sources[i].lane.conn != NULL;
    f->handler->on_event(f->owner, &e);
}

static void warn(struct fetch *f, const char *text) {
    fetch_say(f, (struct fetch_event){.kind = FETCH_WARNING, .text = text});
}

static void warn_skipped(void *arg, const char *path, int why) {
    struct fetch *f = arg;
    char shown[4 * PATH_MAX_LEN + 1], text[sizeof f->shown + sizeof shown + 512];

    name_show(path, strlen(path), shown, sizeof shown);
    snprintf(text, sizeof text, "%s%s%s was left out: %s", f->shown, shown[0] ? "/" : "", shown,
             why == -EEXIST ? "on this file system its name is the same as another one's"
                            : err_text(why));
    warn(f, text);
}

/* What the source could not even list. */
static void warn_unlisted(struct fetch *f) {
    char text[sizeof f->shown + sizeof f->left_out_shown + 512], more[64] = "";

    if (f->left_out > 1)
        snprintf(more, sizeof more, " and %u more", f->left_out - 1);
    snprintf(text, sizeof text,
             "%s/%s%s: left out, %s could not list it (unreadable, moved meanwhile, or too deep or "
             "long a path)",
             f->shown, f->left_out_shown, more, source_peer(f->current));
    warn(f, text);
}

bool fetch_warn_left_out(struct fetch *f) {
    bool skipped = store_skipped(f->store, warn_skipped, f) > 0;

    if (f->left_out)
        warn_unlisted(f);
    return skipped || f->left_out;
}

void fetch_warn_kept(struct fetch *f) {
    char shown[4 * NAME_MAX_LEN + 1], text[2 * sizeof shown + 512];
    const char *first;
    uint32_t n = f->store ? store_kept(f->store, &first) : 0;

    if (!n)
        return;
    name_show(first, strlen(first), shown, sizeof shown);
    snprintf(text, sizeof text,
             "%.400s%s %s not of this download and lay in its folder: now in "
             "%s/kept",
             shown, n > 1 ? " and others" : "", n > 1 ? "are" : "is", show_staging(f).text);
    warn(f, text);
}

void fetch_warn_other_left(struct fetch *f) {
    char text[4 * NAME_MAX_LEN + 128];

    snprintf(text, sizeof text,
             "%s is left of another download of that name. Remove it if it is not needed",
             show_staging(f).text);
    warn(f, text);
}

/* ---- ends: the target ---- */

void fetch_end_target(struct fetch *f, int err) {
    char path[PATH_MAX_LEN + 1] = "", shown[1024];
    const char *why = f->store ? store_difference(f->store, path) : NULL;

    name_show(path, strlen(path), shown, sizeof shown);
    if (err == ERR_KIND)
        fetch_end(f, err,
                  "%s/%s is of another kind than the one at %s, and is not touched. Move it away, "
                  "or choose another folder with -o",
                  f->shown_dir, f->shown, source_peer(f->current));
    else
        fetch_end(f, err,
                  "%s/%s exists already, is not the one at %s, and is not touched: %s%s%s %s. "
                  "--update would bring it up to date; or choose another folder with -o",
                  f->shown_dir, f->shown, source_peer(f->current), f->shown, path[0] ? "/" : "",
                  shown, why ? why : "exists");
}

void fetch_end_overtaken(struct fetch *f) {
    fetch_end(f, ERR_EXISTS,
              "%s/%s has appeared meanwhile and is not touched. Everything is kept in %s: move the "
              "other one away and run the same command again",
              f->shown_dir, f->shown, show_staging(f).text);
}

/* ---- ends: the disk ---- */

/* How much is to come nobody knows before the list is here. */
static void end_on_full_disk(struct fetch *f) {
    const struct catalog *c = f->store ? store_catalog(f->store) : NULL;
    uint64_t left = c ? catalog_totals(c)->bytes - f->have_bytes : 0;
    char still[64] = "";

    if (left > 0)
        snprintf(still, sizeof still, ": %llu bytes are still to come", (unsigned long long)left);
    fetch_end(f, ERR_NO_SPACE,
              "the disk of %s is full, or takes no more files%s. Make room and run the same "
              "command again: it goes on where it stopped",
              f->shown_dir, still);
}

void fetch_end_no_space(struct fetch *f, uint64_t missing) {
    if (missing == 0)
        end_on_full_disk(f);
    else
        fetch_end(f, ERR_NO_SPACE,
                  "not enough free space in %s for %s: %llu bytes are missing. Make room and run "
                  "the same command again",
                  f->shown_dir, f->shown, (unsigned long long)missing);
}

void fetch_end_with_disk_error(struct fetch *f, int err) {
    char path[PATH_MAX_LEN + 1] = "", shown[1024];

    if (err == ERR_NO_SPACE || err == -ENOSPC) {
        end_on_full_disk(f);
        return;
    }
    if (err == ERR_EXISTS) {
        fetch_end_target(f, err);
        return;
    }
    if (f->store && store_catalog(f->store))
        store_failed_path(f->store, path);
    name_show(path, strlen(path), shown, sizeof shown);
    fetch_end(f, err,
              "%s: %s%s%s could not be brought to disk: %s. What has arrived is kept: run the same "
              "command again to go on",
              f->shown_dir, f->shown, shown[0] ? "/" : "", shown, err_text(err));
}

/* ---- ends: the staging folder ---- */

/* Why it is none that we may touch; NULL: it is not that. */
static const char *why_not_ours(int err) {
    switch (err) {
    case ERR_FOREIGN:
        return "is in the way: it is not a download on its way, or has lost its journal. Move it "
               "away or remove it, then run the same command again";
    case ERR_OTHER_VERSION:
        return "was begun by another version of lanyard. Finish it with that one, or remove it, "
               "then run the same command again";
    case ERR_OWNER:
        return "belongs to another user. Choose another folder with -o";
    case ERR_LOCKED:
        return "may not be written to, or something in it: look at its modes (ls -la, lsattr -a), "
               "or move it away, then run the same command again";
    case ERR_MOUNT:
        return "is a mount of its own: what is downloaded there cannot be moved out of it. Unmount "
               "it, or choose another folder with -o";
    default:
        return NULL;
    }
}

void fetch_end_without_store(struct fetch *f, int err) {
    const char *why = why_not_ours(err);

    if (why)
        fetch_end(f, err, "%s/%s %s. It is not touched", f->shown_dir, show_staging(f).text, why);
    else if (err == ERR_EXISTS || err == ERR_KIND)
        fetch_end_target(f, err);
    else if (err == ERR_NO_SPACE || err == -ENOSPC || f->store)
        fetch_end_with_disk_error(f, err);
    else
        fetch_end(f, err, "cannot write %s in %s: %s", f->shown, f->shown_dir, err_text(err));
}

void fetch_end_held(struct fetch *f, const struct holder *h) {
    static const char advice[] = "Wait until it ends, or choose another folder with -o";

    if (h->pid)
        fetch_end(f, ERR_HELD, "%s/%s: process %d (%s) is downloading it right now. %s",
                  f->shown_dir, f->shown, (int)h->pid, h->command[0] ? h->command : "?", advice);
    else
        fetch_end(f, ERR_HELD, "%s/%s: another lanyard is downloading it right now. %s",
                  f->shown_dir, f->shown, advice);
}
