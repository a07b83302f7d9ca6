/* SPDX-License-Identifier: MIT */
#include "discovery/mdns_thread.h"

#include "discovery/choice.h"

#include <avahi-common/simple-watch.h>
#include <errno.h>
#include <ifaddrs.h>
#include <limits.h>
#include <net/if.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

struct mdns_thread {
    pthread_t id;
    pthread_mutex_t lock;

    /* Under the lock. */
    pthread_cond_t room;
    struct mdns_event queue[MDNS_QUEUE_LEN];
    unsigned first, n_queued;
    const char *backend;
    bool quit, refresh, answers, ended;
    uv_async_t *loop; /* NULL: left behind */

    /* The thread's own while it runs. */
    int wake_fd; /* written by the loop */
    const struct mdns_role *role;
    void *role_state;
    AvahiSimplePoll *poll;
    struct choice choice;
};

int64_t mdns_now_ms(void) {
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void thread_free(struct mdns_thread *t) {
    if (t->role_state)
        t->role->free(t->role_state);
    if (t->poll)
        avahi_simple_poll_free(t->poll);
    if (t->wake_fd >= 0)
        close(t->wake_fd);
    pthread_cond_destroy(&t->room);
    pthread_mutex_destroy(&t->lock);
    free(t);
}

/* ---- on the thread ---- */

void mdns_post(struct mdns_thread *t, const struct mdns_event *e) {
    pthread_mutex_lock(&t->lock);
    while (t->n_queued == MDNS_QUEUE_LEN && !t->quit)
        pthread_cond_wait(&t->room, &t->lock);
    if (!t->quit) {
        t->queue[(t->first + t->n_queued++) % MDNS_QUEUE_LEN] = *e;
        uv_async_send(t->loop);
    }
    pthread_mutex_unlock(&t->lock);
}

void mdns_post_text(struct mdns_thread *t, enum mdns_what what, const char *text) {
    struct mdns_event e = {.what = what};

    snprintf(e.text, sizeof(e.text), "%s", text);
    mdns_post(t, &e);
}

static void on_problem(void *owner, const char *text) { mdns_post_text(owner, MDNS_PROBLEM, text); }

static void check_interfaces(struct mdns_thread *t) {
    struct ifaddrs *list;
    bool usable = false;

    if (getifaddrs(&list) != 0)
        return;
    for (struct ifaddrs *i = list; i; i = i->ifa_next)
        usable |= (i->ifa_flags & IFF_UP) && (i->ifa_flags & IFF_MULTICAST) &&
                  !(i->ifa_flags & IFF_LOOPBACK) && i->ifa_addr &&
                  (i->ifa_addr->sa_family == AF_INET || i->ifa_addr->sa_family == AF_INET6);
    freeifaddrs(list);
    if (!usable)
        on_problem(t, "no network interface with an address and multicast is up");
}

static void use(struct mdns_thread *t, struct backend *b) {
    if (t->choice.used)
        t->role->down(t->role_state);
    t->choice.used = b;
    pthread_mutex_lock(&t->lock);
    t->backend = b ? b->ops->name : "";
    pthread_mutex_unlock(&t->lock);
    if (b)
        t->role->up(t->role_state, t, b);
}

/* One turn; returns how long poll may sleep, in ms. */
static int step(struct mdns_thread *t, bool refresh) {
    int64_t now, next, role_next;
    struct backend *b = choice_step(&t->choice, mdns_now_ms());

    while (b != t->choice.used) {
        use(t, b);
        b = choice_step(&t->choice, mdns_now_ms());
    }
    role_next = t->role->step(t->role_state, mdns_now_ms(), refresh);
    next = choice_next_ms(&t->choice);
    if (role_next < next)
        next = role_next;
    now = mdns_now_ms();
    if (next <= now)
        return 0;
    return next - now < INT_MAX ? (int)(next - now) : INT_MAX;
}

/* False: the loop wants us to end. */
static bool take_orders(struct mdns_thread *t, bool *refresh) {
    bool go_on;

    pthread_mutex_lock(&t->lock);
    go_on = !t->quit;
    *refresh = t->refresh;
    t->refresh = false;
    pthread_mutex_unlock(&t->lock);
    return go_on;
}

static void note_answer(struct mdns_thread *t) {
    pthread_mutex_lock(&t->lock);
    t->answers = true;
    pthread_mutex_unlock(&t->lock);
}

static void end(struct mdns_thread *t) {
    bool left_behind;

    pthread_mutex_lock(&t->lock);
    t->ended = true;
    left_behind = !t->loop;
    if (t->loop)
        uv_async_send(t->loop);
    pthread_mutex_unlock(&t->lock);
    if (left_behind)
        thread_free(t);
}

static void on_wake(AvahiWatch *w, int fd, AvahiWatchEvent event, void *userdata) {
    eventfd_t n;

    eventfd_read(fd, &n);
}

static void *run(void *arg) {
    struct mdns_thread *t = arg;
    const AvahiPoll *poll = avahi_simple_poll_get(t->poll);
    /* Not avahi_simple_poll_wakeup(): its flag is not safe between threads, a lost race leaves the
     * pipe readable and poll spinning. */
    AvahiWatch *wake = poll->watch_new(poll, t->wake_fd, AVAHI_WATCH_IN, on_wake, NULL);
    bool refresh;

    check_interfaces(t);
    while (wake && take_orders(t, &refresh)) {
        int sleep_ms = step(t, refresh);
        note_answer(t);
        if (avahi_simple_poll_iterate(t->poll, sleep_ms) != 0 && errno != EINTR)
            break;
    }
    use(t, NULL);
    choice_clear(&t->choice);
    if (wake)
        poll->watch_free(wake);
    end(t);
    return NULL;
}

/* ---- on the loop ---- */

static int thread_new(struct mdns_thread **out, const struct mdns_role *role) {
    struct mdns_thread *t = calloc(1, sizeof(*t));
    int err = -ENOMEM;

    if (!t)
        return err;
    pthread_mutex_init(&t->lock, NULL);
    pthread_cond_init(&t->room, NULL);
    t->backend = "";
    t->role = role;
    t->poll = avahi_simple_poll_new();
    t->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (t->wake_fd < 0)
        err = -errno;
    if (!t->poll || t->wake_fd < 0) {
        thread_free(t);
        return err;
    }
    choice_init(&t->choice, mdns_now_ms());
    t->choice.poll = avahi_simple_poll_get(t->poll);
    t->choice.needs = role->needs;
    t->choice.publishes = role->publishes;
    t->choice.on_problem = on_problem;
    t->choice.owner = t;
    *out = t;
    return 0;
}

/* Signals are for the main thread, but for those that tell of a crash in this one. */
static int spawn(struct mdns_thread *t) {
    static const int crashes[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
    sigset_t mask, old;
    int err;

    sigfillset(&mask);
    for (size_t i = 0; i < sizeof(crashes) / sizeof(crashes[0]); i++)
        sigdelset(&mask, crashes[i]);
    pthread_sigmask(SIG_SETMASK, &mask, &old);
    err = pthread_create(&t->id, NULL, run, t);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return -err;
}

int mdns_thread_start(struct mdns_thread **out, const struct mdns_role *role, void *state,
                      uv_async_t *loop) {
    struct mdns_thread *t = NULL;
    int err = thread_new(&t, role);

    if (err)
        return err;
    t->role_state = state;
    t->loop = loop;
    err = spawn(t);
    if (err) {
        t->role_state = NULL; /* still the caller's */
        thread_free(t);
        return err;
    }
    *out = t;
    return 0;
}

bool mdns_thread_take(struct mdns_thread *t, struct mdns_event *e) {
    bool any;

    pthread_mutex_lock(&t->lock);
    any = t->n_queued > 0;
    if (any) {
        *e = t->queue[t->first];
        t->first = (t->first + 1) % MDNS_QUEUE_LEN;
        t->n_queued--;
        pthread_cond_signal(&t->room);
    }
    pthread_mutex_unlock(&t->lock);
    return any;
}

void mdns_thread_refresh(struct mdns_thread *t) {
    pthread_mutex_lock(&t->lock);
    t->refresh = true;
    pthread_mutex_unlock(&t->lock);
    eventfd_write(t->wake_fd, 1);
}

const char *mdns_thread_backend(struct mdns_thread *t) {
    const char *name;

    pthread_mutex_lock(&t->lock);
    name = t->backend;
    pthread_mutex_unlock(&t->lock);
    return name;
}

bool mdns_thread_answers(struct mdns_thread *t) {
    bool answers;

    pthread_mutex_lock(&t->lock);
    answers = t->answers;
    pthread_mutex_unlock(&t->lock);
    return answers;
}

void mdns_thread_quit(struct mdns_thread *t) {
    pthread_mutex_lock(&t->lock);
    t->quit = true;
    pthread_cond_signal(&t->room);
    pthread_mutex_unlock(&t->lock);
    eventfd_write(t->wake_fd, 1);
}

bool mdns_thread_ended(struct mdns_thread *t) {
    bool ended;

    pthread_mutex_lock(&t->lock);
    ended = t->ended;
    pthread_mutex_unlock(&t->lock);
    return ended;
}

void mdns_thread_leave(struct mdns_thread *t) {
    bool ended;

    pthread_mutex_lock(&t->lock);
    ended = t->ended;
    t->loop = NULL;
    if (!ended)
        pthread_detach(t->id);
    pthread_mutex_unlock(&t->lock);
    if (!ended)
        return;
    pthread_join(t->id, NULL);
    thread_free(t);
}
