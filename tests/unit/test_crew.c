/* SPDX-License-Identifier: MIT */
#include "core/crew.h"
#include "no_threads.h"

#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { TASKS = 200 };

struct job {
    struct crew_task task; /* first: the task is the job */
    uv_sem_t *until;       /* NULL: it need not wait */
    uv_thread_t by;
};

static atomic_uint n_run;

static int set_up(void **state) {
    n_run = n_threads = 0;
    no_threads = false;
    return 0;
}

static void run(struct crew_task *t) {
    struct job *j = (struct job *)t;

    if (j->until)
        uv_sem_wait(j->until);
    j->by = uv_thread_self();
    atomic_fetch_add(&n_run, 1);
}

static void each_task_runs_once_and_elsewhere(void **state) {
    static struct job jobs[TASKS];
    uv_thread_t me = uv_thread_self();
    struct crew *crew;

    assert_int_equal(crew_new(&crew), 0);
    for (unsigned i = 0; i < TASKS; i++) {
        jobs[i] = (struct job){.task.run = run};
        assert_int_equal(crew_give(crew, &jobs[i].task), 0);
    }
    crew_free(crew); /* not before what was given has run */
    assert_int_equal(n_run, TASKS);
    for (unsigned i = 0; i < TASKS; i++)
        assert_false(uv_thread_equal(&jobs[i].by, &me));
}

static void threads_are_made_when_they_are_missing(void **state) {
    struct job jobs[CREW_MAX + 1];
    struct crew *crew;
    cpu_set_t ours;
    unsigned most;
    uv_sem_t until;

    assert_int_equal(sched_getaffinity(0, sizeof ours, &ours), 0);
    most = CPU_COUNT(&ours) < CREW_MAX ? (unsigned)CPU_COUNT(&ours) : CREW_MAX;
    assert_int_equal(uv_sem_init(&until, 0), 0);
    assert_int_equal(crew_new(&crew), 0);
    assert_int_equal(n_threads, 0); /* whoever has nothing large pays nothing */
    for (unsigned i = 0; i <= most; i++) {
        jobs[i] = (struct job){.task.run = run, .until = &until};
        assert_int_equal(crew_give(crew, &jobs[i].task), 0);
        assert_int_equal(n_threads, i < most ? i + 1 : most);
    }
    for (unsigned i = 0; i <= most; i++)
        uv_sem_post(&until);
    crew_free(crew);
    assert_int_equal(n_run, most + 1);
    uv_sem_destroy(&until);
}

static void without_a_thread_it_says_so(void **state) {
    struct job job = {.task.run = run};
    struct crew *crew;

    assert_int_equal(crew_new(&crew), 0);
    no_threads = true;
    assert_int_equal(crew_give(crew, &job.task), UV_EAGAIN);
    no_threads = false;
    assert_int_equal(crew_give(crew, &job.task), 0); /* another time there may be one */
    crew_free(crew);
    assert_int_equal(n_run, 1);
}

static void one_thread_is_enough(void **state) {
    struct job jobs[3];
    struct crew *crew;

    assert_int_equal(crew_new(&crew), 0);
    for (unsigned i = 0; i < 3; i++) {
        jobs[i] = (struct job){.task.run = run};
        assert_int_equal(crew_give(crew, &jobs[i].task), 0);
        no_threads = true;
    }
    crew_free(crew);
    assert_int_equal(n_run, 3);
    assert_int_equal(n_threads, 1);
}

static void nobody_is_freed(void **state) { crew_free(NULL); }

#define FRESH(test) cmocka_unit_test_setup(test, set_up)

int main(void) {
    const struct CMUnitTest tests[] = {
        FRESH(each_task_runs_once_and_elsewhere),
        FRESH(threads_are_made_when_they_are_missing),
        FRESH(without_a_thread_it_says_so),
        FRESH(one_thread_is_enough),
        FRESH(nobody_is_freed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
