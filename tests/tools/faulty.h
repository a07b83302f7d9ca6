/* SPDX-License-Identifier: MIT */
/*
 * faulty -- a library to preload: the disk below one folder fails, or the machine goes down
 *
 *     FAULTY_DIR=PATH              calls on what lies below it count; without it nothing happens
 *     FAULTY_COUNT=FILE            how many steps there were so far, as 8 bytes
 *     FAULTY_TRACE=FILE            a line for each step and each read: number, call, path
 *     FAULTY_KILL=K                SIGKILL before step K; a write of some length is made in part
 *     FAULTY_CUT=K                 the power goes before step K: see faulty_log_cut; then SIGKILL
 *     FAULTY_SEED=N                for what is left to chance
 *     FAULTY_BOOT=FILE             is read as /proc/sys/kernel/random/boot_id
 *     FAULTY_FAIL=CALL:HOW:K[+][:PART]
 *                                  the K-th (+: and every later) CALL on a path with PART in it
 *
 * A step is a call that changes something, or a sync. CALL is the function's name, `open` and
 * `create` for openat(2), or `change` for every step. HOW is EIO, ENOSPC, EDQUOT, EROFS, EINTR or
 * SHORT: half of the bytes. Syncs bring nothing to the disk: that takes time, and nobody pulls the
 * plug. faulty.c stands in for the calls, faulty_log.c knows what a power cut takes away. For
 * 64-bit systems.
 */
#ifndef TESTS_FAULTY_H
#define TESTS_FAULTY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

/* All below: one thread at a time. Paths are absolute. Nothing is logged before faulty_log_open. */
int faulty_log_open(const char *dir, uint64_t seed); /* keeps what is removed in DIR.grave */

/* Before the call: fd is written at offset; bytes NULL: zeros. */
void faulty_log_write(int fd, const void *bytes, size_t len, off_t offset);
void faulty_log_size(int fd, off_t size);
void faulty_log_mode(const char *path, mode_t mode);
void faulty_log_mtime(const char *path, const struct timespec times[2]);
/* After it. */
void faulty_log_made(const char *path);
void faulty_log_rmdir(const char *path, const struct stat *was);
void faulty_log_moved(const char *from, const char *to);
/* Instead of unlink(2). 0, or -1 with errno. */
int faulty_log_remove(const char *path);

/* What this fd's fsync(2) makes durable: its data, and all changes of names, sizes, modes and times
 * up to the last one that concerns it. */
void faulty_log_fsync(int fd);
void faulty_log_syncfs(void);

/* What was not synced goes: all changes of names, sizes, modes and times from a random one on (a
 * journal keeps their order), and of the data any pages. */
void faulty_log_cut(void);

uint64_t faulty_random(uint64_t below); /* below > 0 */

/* The call of the C library behind ours. */
void *faulty_real(const char *name);
#define REAL(name) (__extension__(__typeof__(&name)) faulty_real(#name))

#endif
