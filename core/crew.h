/* SPDX-License-Identifier: MIT */
/*
 * crew -- a few threads for work that only computes
 *
 *     crew_new    crew_give(task) -> task->run, on one of its threads    crew_free
 *
 * Not the pool of libuv, whose threads may all wait for a disk: what is given here never waits
 * for a disk or a peer, so it is done soon. As many threads as processors, CREW_MAX at most; each
 * is started when there is work for it and none is free, with a stack of CREW_STACK bytes. Tools
 * like top show them by the name `crew`.
 */
#ifndef CORE_CREW_H
#define CORE_CREW_H

enum { CREW_MAX = 4, CREW_STACK = 1024 * 1024 };

struct crew;

/* Embedded in whoever gives it, which keeps it until run tells it that it is done: the last thing
 * that run does. */
struct crew_task {
    void (*run)(struct crew_task *t);
    struct crew_task *next;
};

/* Processors that we may use: sched_getaffinity(2). */
unsigned crew_processors(void);

int crew_new(struct crew **crew); /* 0, -ENOMEM, or another error of libuv */
/* Takes NULL. All tasks have told their givers. Waits until the threads are gone. */
void crew_free(struct crew *crew);

/* 0: it runs soon. Below 0: there is no thread, and none could be started; nothing was kept. Of one
 * thread only. */
int crew_give(struct crew *crew, struct crew_task *t);

#endif
