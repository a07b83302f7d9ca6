/* SPDX-License-Identifier: MIT */
/* What happens while TLS and the socket of a connection are lent to another thread. */
#include "core/conn_internal.h"
#include "core/err.h"
#include "core/tls_internal.h"
#include "no_threads.h"
#include "sides.h"

#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <cmocka.h>

enum { PAGES = 12 };

static struct pool many; /* of the listener */

static int begin(void **state) {
    int r = set_up(state);

    no_threads = false;
    assert_int_equal(pool_init(&many, PAGES), 0);
    net.listen.pool = &many;
    return r;
}

static int end(void **state) {
    int r = tear_down(state);

    assert_int_equal(many.n_free, many.n);
    pool_clear(&many);
    return r;
}

/* Each byte of it, so that one that is lost, doubled or out of place is found. */
static void fill(uint8_t *page, uint64_t number) {
    for (size_t i = 0; i < WIRE_PAGE_MAX; i++)
        page[i] = (uint8_t)(((i + 1) * 2654435761u + number * 97) >> 11);
}

static void send_pages(unsigned n) {
    static uint8_t page[WIRE_PAGE_MAX];

    for (unsigned i = 0; i < n; i++) {
        struct msg m = {.type = WIRE_MANIFEST, .req = 1};
        uint8_t *frame = pool_get(&many);
        int len;

        fill(page, i);
        m.manifest.offset = i;
        m.manifest.page = (struct bytes){page, sizeof page};
        len = wire_encode(&m, frame, WIRE_FRAME_MAX);
        assert_true(len > 0);
        assert_int_equal(conn_send_frame(listener.conn, frame, (size_t)len), 0);
    }
}

static void check_bytes(struct side *s, const struct msg *m) {
    static uint8_t page[WIRE_PAGE_MAX];

    if (m->type != WIRE_MANIFEST)
        return;
    assert_int_equal(m->manifest.offset, s->next_page);
    fill(page, s->next_page++);
    assert_int_equal(m->manifest.page.len, sizeof page);
    assert_memory_equal(m->manifest.page.at, page, sizeof page);
}

static bool is_away(const struct side *s) { return s->conn && s->conn->bulk.away; }

/* Whether more has come than one read takes depends on who is faster: it goes on until then. */
static void send_until_away(const struct side *s) {
    net_begin_wait(&net);
    while (!is_away(s)) {
        assert_true(uv_now(&net.loop) < net.deadline);
        if (conn_frames(listener.conn) < PAGES / 2)
            send_pages(many.n_free);
        uv_run(&net.loop, UV_RUN_ONCE);
    }
}

/* -- the ordinary way ------------------------------------------------------------------------- */

static void large_frames_take_it_both_ways(void **state) {
    bool sent = false, received = false, early = false;

    join();
    dialler.on_message = check_bytes;
    net_begin_wait(&net);
    while (!sent || !received) {
        dialler.next_page = 0;
        send_pages(PAGES);
        while (dialler.next_page < PAGES || many.n_free < PAGES) {
            assert_true(uv_now(&net.loop) < net.deadline);
            uv_run(&net.loop, UV_RUN_ONCE);
            early = early || (is_away(&listener) && listener.drains > 0);
            sent = sent || is_away(&listener);
            received = received || is_away(&dialler);
        }
    }
    NET_UNTIL(&net, conn_queued(listener.conn) == 0);
    assert_true(early); /* the owner reads on while the last frame is under way */
    part();
}

static void the_loop_does_it(unsigned pages) {
    join();
    dialler.on_message = check_bytes;
    send_pages(pages);
    net_begin_wait(&net);
    while (dialler.next_page < pages && uv_now(&net.loop) < net.deadline) {
        uv_run(&net.loop, UV_RUN_ONCE);
        assert_false(is_away(&listener) || is_away(&dialler));
    }
    assert_int_equal(dialler.next_page, pages);
    part();
}

static void without_threads_the_loop_does_it(void **state) {
    no_threads = true;
    the_loop_does_it(PAGES);
}

static void with_a_limit_the_loop_does_it(void **state) {
    struct pacer pacer = {0};

    pacer_set_rate(&pacer, 100 * 1000 * 1000, conn_env_now_ns(&net.listen));
    net.listen.pacer = net.dial.pacer = &pacer;
    the_loop_does_it(4);
}

static void answer_info(struct side *s, const struct msg *m) {
    struct msg info = {.type = WIRE_INFO, .req = m->req};

    assert_int_equal(m->type, WIRE_INFO_GET);
    assert_int_equal(conn_send(s->conn, &info), 0);
}

static void questions_are_answered_in_between(void **state) {
    struct msg ask = {.type = WIRE_INFO_GET};

    join();
    dialler.on_message = check_bytes;
    listener.on_message = answer_info;
    send_pages(PAGES);
    NET_UNTIL(&net, is_away(&listener));
    for (ask.req = 1; ask.req <= 20; ask.req++)
        assert_int_equal(conn_send(dialler.conn, &ask), 0);
    NET_UNTIL(&net, listener.messages == 20 && dialler.messages == PAGES + 20);
    assert_int_equal(dialler.next_page, PAGES);
    part();
}

static void new_keys_pass_on_the_way(void **state) {
    join();
    dialler.on_message = check_bytes;
    for (unsigned i = 0; i < 3; i++) {
        unsigned before = (unsigned)dialler.next_page;

        NET_UNTIL(&net, !is_away(&listener));
        assert_int_equal(tls_update(listener.conn->tls), 0);
        dialler.next_page = 0;
        send_pages(4);
        NET_UNTIL(&net, dialler.next_page == 4);
        assert_true(before == 0 || before == 4);
    }
    part();
}

/* Small answers are in a block before the frame; the block has no room for a record any more, and
 * others have taken nearly all of the budget. */
static void a_full_block_goes_first(void **state) {
    enum { ROOM = 1024, MORE = 22, TEXT = 504 }; /* of a record: see core/tls.c */
    static const char text[TEXT] = "";
    struct msg m = {.type = WIRE_ERROR, .req = 1};
    uint8_t frame[1024];
    unsigned n = 0;
    size_t left = BLOCK_LEN - ROOM, one;

    join();
    NET_UNTIL(&net, conn_queued(listener.conn) == 0 && listener.conn->n_writes == 0);
    tls_trim(listener.conn->tls);
    net.listen.tls->budget.used += 40;
    m.error.text = (struct bytes){(const uint8_t *)text, sizeof text};
    one = (size_t)wire_encode(&m, frame, sizeof frame) + MORE;
    for (; left > 2 * one; left -= one, n++)
        assert_int_equal(conn_send(listener.conn, &m), 0);
    for (unsigned i = 2; i > 0; i--, n++) { /* what is left, as two */
        size_t part = left / i;

        m.error.text.len = TEXT - (one - part);
        assert_int_equal(conn_send(listener.conn, &m), 0);
        left -= part;
    }
    dialler.on_message = check_bytes;
    send_pages(1);
    NET_UNTIL(&net, dialler.next_page == 1);
    assert_int_equal(dialler.messages, n + 1);
    net.listen.tls->budget.used -= 40;
    part();
}

/* -- ends ------------------------------------------------------------------------------------- */

static void what_has_begun_is_sent_to_its_end(void **state) {
    join();
    dialler.on_message = check_bytes;
    send_pages(PAGES);
    NET_UNTIL(&net, is_away(&listener));
    conn_close(listener.conn, WIRE_ERR(WIRE_SHUTDOWN));
    both_closed(WIRE_ERR(WIRE_SHUTDOWN), WIRE_ERR(WIRE_SHUTDOWN));
    assert_in_range(dialler.next_page, 1, PAGES - 1);
}

static void whoever_sends_may_drop_it(void **state) {
    join();
    send_pages(PAGES);
    NET_UNTIL(&net, is_away(&listener));
    conn_abort(listener.conn, -EIO);
    assert_int_equal(listener.closed, 0); /* never from inside our call */
    NET_UNTIL(&net, listener.closed && dialler.closed);
    assert_int_equal(listener.why, -EIO);
    assert_true(dialler.why < 0);
}

static void whoever_receives_may_drop_it(void **state) {
    join();
    send_until_away(&dialler);
    conn_abort(dialler.conn, -EIO);
    NET_UNTIL(&net, listener.closed && dialler.closed);
    assert_int_equal(dialler.why, -EIO);
    assert_true(listener.why < 0);
}

static void whoever_receives_may_close_it(void **state) {
    join();
    send_until_away(&dialler);
    conn_close(dialler.conn, 0);
    NET_UNTIL(&net, listener.closed && dialler.closed);
    assert_int_equal(dialler.why, 0);
}

static void drop_at(unsigned steps, struct side *s, bool at_once) {
    send_pages(4);
    for (unsigned i = 0; i < steps; i++)
        uv_run(&net.loop, UV_RUN_NOWAIT);
    if (at_once)
        conn_abort(s->conn, -EIO);
    else
        conn_close(s->conn, 0);
    NET_UNTIL(&net, listener.closed && dialler.closed);
    NET_UNTIL(&net, many.n_free == many.n && net.pool.n_free == net.pool.n);
}

static void ends_at_every_step(void **state) {
    for (unsigned i = 0; i < 160; i++) {
        memset(&dialler, 0, sizeof dialler);
        memset(&listener, 0, sizeof listener);
        join();
        drop_at(i / 4, i % 2 ? &dialler : &listener, i / 2 % 2);
    }
}

static void damage_on_the_way_ends_it(void **state) {
    static const uint8_t noise[4096] = {23, 3, 3, 15, 0, 1};
    uv_os_fd_t fd;

    join();
    assert_int_equal(uv_fileno((uv_handle_t *)&listener.conn->tcp, &fd), 0);
    send_pages(PAGES);
    NET_UNTIL(&net, is_away(&listener));
    /* in the midst of what TLS says */
    NET_UNTIL(&net, !is_away(&listener) && write(fd, noise, sizeof noise) > 0);
    NET_UNTIL(&net, listener.closed && dialler.closed);
    assert_int_equal(dialler.why, ERR_TLS);
}

/* A reset, whatever is unsent or unread. */
static void reset(struct side *s) {
    const struct linger at_once = {.l_onoff = 1};
    uv_os_fd_t fd;

    assert_int_equal(uv_fileno((uv_handle_t *)&s->conn->tcp, &fd), 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once), 0);
    conn_abort(s->conn, -EIO);
}

static void a_reset_is_told(void **state) {
    join();
    send_until_away(&dialler);
    reset(&listener);
    NET_UNTIL(&net, listener.closed && dialler.closed);
    /* after a short read libuv takes a hang-up for the end, and does not ask the socket why */
    assert_true(dialler.why == UV_ECONNRESET || dialler.why == ERR_TLS_CUT);
}

static void send_page_and_expect_the_end(struct side *s, const struct msg *m) {
    if (dialler.conn)
        reset(&dialler);
    send_pages(PAGES);
}

/* libuv tells of it in the same turn of the loop, without asking for a buffer. */
static void an_end_right_behind_a_question(void **state) {
    struct msg ask = {.type = WIRE_INFO_GET, .req = 1};

    join();
    listener.on_message = send_page_and_expect_the_end;
    assert_int_equal(conn_send(dialler.conn, &ask), 0);
    NET_UNTIL(&net, listener.closed && dialler.closed);
    assert_true(listener.why == UV_ECONNRESET || listener.why == UV_EPIPE);
}

/* -- one who takes our time ------------------------------------------------------------------- */

enum { FLOOD = 6 * 1024 * 1024 };

struct flood {
    uint8_t *bytes;
    size_t len;
    uv_os_fd_t fd;
};

/* The head of a page, then a byte of it in each record. */
static void make_flood(struct flood *f) {
    struct tls *tls = listener.conn->tls;
    uint8_t head[WIRE_HEADER_LEN];
    const uint8_t *block;
    size_t len;

    f->bytes = malloc(FLOOD + BLOCK_LEN);
    assert_non_null(f->bytes);
    wire_header_put(head,
                    &(struct wire_header){.len = 1024 * 1024, .type = WIRE_MANIFEST, .req = 1});
    assert_int_equal(tls_write(tls, head, sizeof head), sizeof head);
    for (f->len = 0; f->len < FLOOD;) {
        while (tls_out(tls, true, &block, &len)) {
            memcpy(f->bytes + f->len, block, len);
            f->len += len;
            tls_out_done(tls);
        }
        for (unsigned i = 0; i < 4096; i++)
            assert_int_equal(tls_write(tls, head, 1), 1);
    }
}

static void pour(void *arg) {
    struct flood *f = arg;

    for (size_t at = 0; at < f->len;) {
        struct pollfd p = {.fd = f->fd, .events = POLLOUT};
        ssize_t n = write(f->fd, f->bytes + at, f->len - at);

        if (n > 0)
            at += (size_t)n;
        else if (errno != EAGAIN || poll(&p, 1, 10000) != 1)
            break;
    }
}

static void whoever_says_next_to_nothing_gives_way(void **state) {
    struct flood f;
    uv_thread_t thread;
    uint64_t most = 0, heard = 0, now;

    join();
    NET_UNTIL(&net, listener.conn->n_writes == 0 && dialler.conn->n_writes == 0);
    make_flood(&f);
    assert_int_equal(uv_fileno((uv_handle_t *)&listener.conn->tcp, &f.fd), 0);
    assert_int_equal(uv_thread_create(&thread, pour, &f), 0);
    net_begin_wait(&net);
    while (heard < FLOOD / 2 && uv_now(&net.loop) < net.deadline) {
        bool away = is_away(&dialler);

        uv_run(&net.loop, UV_RUN_ONCE);
        if (!away || is_away(&dialler))
            continue;
        now = dialler.conn->bulk.moved;
        heard += now;
        most = now > most ? now : most;
    }
    assert_true(most > 0 && most <= 3 * 1024 * 1024); /* of it, for a frame of 1 MiB */
    conn_abort(dialler.conn, -EIO);
    NET_UNTIL(&net, dialler.closed);
    uv_thread_join(&thread);
    free(f.bytes);
    NET_UNTIL(&net, listener.closed);
}

#define BULK(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void) {
    const struct CMUnitTest tests[] = {
        BULK(large_frames_take_it_both_ways),
        BULK(without_threads_the_loop_does_it),
        BULK(with_a_limit_the_loop_does_it),
        BULK(questions_are_answered_in_between),
        BULK(new_keys_pass_on_the_way),
        BULK(a_full_block_goes_first),
        BULK(what_has_begun_is_sent_to_its_end),
        BULK(whoever_sends_may_drop_it),
        BULK(whoever_receives_may_drop_it),
        BULK(whoever_receives_may_close_it),
        BULK(ends_at_every_step),
        BULK(damage_on_the_way_ends_it),
        BULK(a_reset_is_told),
        BULK(an_end_right_behind_a_question),
        BULK(whoever_says_next_to_nothing_gives_way),
    };

    signal(SIGPIPE, SIG_IGN); /* as the program does */
    return cmocka_run_group_tests(tests, net_make_ids, net_free_ids);
}
