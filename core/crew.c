/* SPDX-License-Identifier: MIT */
#include "core/crew.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdlib.h>
#include <uv.h>

struct crew {
    uv_mutex_t lock; /* of all below but the threads, which are the giver's */
    uv_cond_t news;
    struct crew_task *first, **last;
    unsigned waiting; /* tasks that nobody has begun */
    unsigned free;    /* threads that wait for one */
    bool leaving;
    uv_thread_t threads[CREW_MAX];
    unsigned n, most;
};

unsigned crew_processors(void) {
    cpu_set_t ours;

    if (sched_getaffinity(0, sizeof ours, &ours) < 0) /* more than fit into the set */
        return CREW_MAX;
    return (unsigned)CPU_COUNT(&ours);
}

int crew_new(struct crew **out) {
    struct crew *crew = calloc(1, sizeof *crew);
    unsigned cores = crew_processors();
    int r;

    if (!crew)
        return -ENOMEM;
    crew->last = &crew->first;
    crew->most = cores < CREW_MAX ? cores : CREW_MAX;
    r = uv_mutex_init(&crew->lock);
    if (r < 0) {
        free(crew);
        return r;
    }
    r = uv_cond_init(&crew->news);
    if (r < 0) {
        uv_mutex_destroy(&crew->lock);
        free(crew);
        return r;
    }
    *out = crew;
    return 0;
}

/* The next task; NULL: go. */
static struct crew_task *take(struct crew *crew) {
    struct crew_task *t;

    uv_mutex_lock(&crew->lock);
    crew->free++;
    while (!crew->first && !crew->leaving)
        uv_cond_wait(&crew->news, &crew->lock);
    crew->free--;
    t = crew->first;
    if (t) {
        crew->first = t->next;
        crew->waiting--;
        if (!crew->first)
            crew->last = &crew->first;
    }
    uv_mutex_unlock(&crew->lock);
    return t;
}

static void work(void *arg) {
    struct crew_task *t;

    pthread_setname_np(pthread_self(), "crew");
    while ((t = take(arg)))
        t->run(t);
}

void crew_free(struct crew *crew) {
    if (!crew)
        return;
    uv_mutex_lock(&crew->lock);
    crew->leaving = true;
    uv_cond_broadcast(&crew->news);
    uv_mutex_unlock(&crew->lock);
    for (unsigned i = 0; i < crew->n; i++)
        uv_thread_join(&crew->threads[i]);
    uv_cond_destroy(&crew->news);
    uv_mutex_destroy(&crew->lock);
    free(crew);
}

int crew_give(struct crew *crew, struct crew_task *t) {
    static const uv_thread_options_t options = {.flags = UV_THREAD_HAS_STACK_SIZE,
                                                .stack_size = CREW_STACK};
    int r = 0;

    uv_mutex_lock(&crew->lock);
    if (crew->waiting >= crew->free && crew->n < crew->most) {
        r = uv_thread_create_ex(&crew->threads[crew->n], &options, work, crew);
        crew->n += r == 0;
    }
    if (crew->n > 0) {
        r = 0;
        t->next = NULL;
        *crew->last = t;
        crew->last = &t->next;
        crew->waiting++;
        uv_cond_signal(&crew->news);
    }
    uv_mutex_unlock(&crew->lock);
    return r;
}
