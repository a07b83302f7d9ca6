/* SPDX-License-Identifier: MIT */
#include "cli/asking.h"
#include "core/err.h"
#include "core/server.h"
#include "scratch.h"
#include "tests/unit/bad_line.h"

#include <netinet/in.h>

/* A peer in this process, on the loop of whoever asks. */
struct peer_here {
    struct identity id;
    struct shares shares;
    struct server *server;
    bool closed;
    char word[32]; /* 127.0.0.1:PORT */
};

struct fixture {
    struct scratch s;
    struct app app;
    struct asking a;
    struct peer_here peers[2];
    struct hits hits;
};

static void on_closed(void *owner) { ((struct peer_here *)owner)->closed = true; }

static void start_peer(struct fixture *f, struct peer_here *p, const char *dir, const char *name) {
    char path[128];
    struct server_options o = {.loop = f->a.client.loop,
                               .id = &p->id,
                               .shares = &p->shares,
                               .name = name,
                               .port = -1,
                               .on_closed = on_closed,
                               .owner = p};

    scratch_dir(&f->s, dir);
    snprintf(path, sizeof path, "%s/%s", f->s.path, dir);
    assert_int_equal(identity_load(&p->id, path), 0);
    shares_init(&p->shares, false);
    snprintf(path, sizeof path, "%s/film", f->s.path);
    assert_int_equal(shares_add(&p->shares, path), 0);
    assert_int_equal(server_new(&p->server, &o), 0);
    snprintf(p->word, sizeof p->word, "127.0.0.1:%u", server_port(p->server));
}

static int setup(void **state) {
    static struct fixture fixture;
    struct fixture *f = &fixture;
    struct asking_options none = {0};

    *f = (struct fixture){.app.confined = true}; /* this process has more to do */
    scratch_make(&f->s);
    scratch_file(&f->s, "film", "a film");
    setenv("XDG_STATE_HOME", f->s.path, 1);
    setenv("XDG_CONFIG_HOME", f->s.path, 1);
    assert_int_equal(asking_open(&f->a, &f->app, &none, 2), 0);
    start_peer(f, &f->peers[0], "anna", "anna");
    start_peer(f, &f->peers[1], "bert", "bert");
    hits_init(&f->hits);
    *state = f;
    return 0;
}

static int teardown(void **state) {
    struct fixture *f = *state;

    hits_clear(&f->hits);
    for (unsigned i = 0; i < 2; i++) {
        server_close(f->peers[i].server);
        while (!f->peers[i].closed)
            uv_run(f->a.client.loop, UV_RUN_ONCE);
        shares_clear(&f->peers[i].shares);
        identity_clear(&f->peers[i].id);
    }
    asking_close(&f->a);
    assert_false(f->app.left_behind); /* the loop was empty */
    app_clear(&f->app);
    scratch_remove(&f->s);
    return 0;
}

static void on_row(void *owner, const struct survey_peer *p, const struct wire_entry *e) {
    struct fixture *f = owner;
    const struct hit about = {.peer = p, .peer_name = p->name};

    assert_int_equal(hits_add(&f->hits, &about, "", e), 0);
}

static struct survey_question question(struct fixture *f, const char *name) {
    return (struct survey_question){.kind = QUERY_NAME,
                                    .arg = name,
                                    .wait_ms = 10000,
                                    .peer_ms = 10000,
                                    .on_row = on_row,
                                    .owner = f};
}

static void answers_of_all_are_one(void **state) {
    struct fixture *f = *state;
    struct survey_question q = question(f, "film");

    assert_int_equal(survey_add(&f->a.survey, f->peers[0].word), 0);
    assert_int_equal(survey_add(&f->a.survey, f->peers[1].word), 0);
    assert_int_equal(survey_ask(&f->a.survey, &q), 0);
    assert_int_equal(survey_count(&f->a.survey, SURVEY_ANSWERED), 2);
    assert_int_equal(hits_resolve(&f->hits, "film"), HITS_ONE);
    assert_int_equal(f->hits.n, 2);
    assert_string_equal(f->hits.all[0].peer_name, "anna");
    assert_memory_equal(f->hits.all[1].peer->key, f->peers[1].id.key, KEY_LEN);
    hits_clear(&f->hits);

    q.arg = "nothing"; /* another question to the same peers */
    assert_int_equal(survey_ask(&f->a.survey, &q), 0);
    assert_int_equal(survey_count(&f->a.survey, SURVEY_ANSWERED), 2);
    assert_int_equal(f->hits.n, 0);
}

static void one_peer_at_two_addresses_is_one(void **state) {
    struct fixture *f = *state;
    const struct survey_question q = question(f, "film");
    char other[64];

    snprintf(other, sizeof other, "localhost%s", strchr(f->peers[0].word, ':'));
    assert_int_equal(survey_add(&f->a.survey, f->peers[0].word), 0);
    assert_int_equal(survey_add(&f->a.survey, other), 0);
    assert_int_equal(survey_ask(&f->a.survey, &q), 0);
    assert_int_equal(survey_count(&f->a.survey, SURVEY_ANSWERED), 1);
    assert_int_equal(survey_count(&f->a.survey, SURVEY_LEFT_OUT), 1);
    assert_int_equal(f->hits.n, 1);
}

static void a_changed_key_is_not_listened_to(void **state) {
    struct fixture *f = *state;
    struct survey_question q = question(f, "film");
    const struct survey_peer *refused;

    /* we know anna, under bert's key */
    assert_int_equal(trust_add(&f->a.client.trust, "anna", f->peers[1].id.key), 0);
    assert_int_equal(survey_add(&f->a.survey, f->peers[0].word), 0);
    assert_int_equal(survey_ask(&f->a.survey, &q), 0);
    refused = survey_first(&f->a.survey, SURVEY_REFUSED);
    assert_non_null(refused);
    assert_memory_equal(refused->known_key, f->peers[1].id.key, KEY_LEN);
    assert_int_equal(f->hits.n, 0);
    assert_int_equal(asking_report(&f->a, &q, 0), CODE_REFUSED);

    q.any_key = true; /* list-peers shows it, with a mark */
    q.kind = QUERY_INFO;
    assert_int_equal(survey_ask(&f->a.survey, &q), 0);
    assert_int_equal(survey_count(&f->a.survey, SURVEY_ANSWERED), 1);
    assert_int_equal(survey_first(&f->a.survey, SURVEY_ANSWERED)->trust, ERR_KEY_CHANGED);
}

/* `anna:film`, and discovery does not see her: the host of that name is asked, whoever that is. */
static void a_host_is_not_the_peer_of_its_name(void **state) {
    struct fixture *f = *state;
    struct survey_question q = question(f, "film");
    struct peer_spec spec;

    assert_int_equal(what_parse_peer(&spec, f->peers[1].word), 0);
    strcpy(spec.name, "anna");
    q.only = &spec;
    assert_int_equal(survey_ask(&f->a.survey, &q), 0);
    assert_int_equal(survey_count(&f->a.survey, SURVEY_ANSWERED), 1); /* we know no anna */
    hits_clear(&f->hits);

    assert_int_equal(trust_add(&f->a.client.trust, "anna", f->peers[0].id.key), 0);
    assert_int_equal(survey_ask(&f->a.survey, &q), 0);
    assert_int_equal(survey_count(&f->a.survey, SURVEY_ANSWERED), 0);
    assert_int_equal(f->hits.n, 0);
    assert_int_equal(asking_report(&f->a, &q, 0), CODE_REFUSED);
    assert_non_null(strstr(say_last(), "trust forget 'anna'"));

    assert_int_equal(trust_add(&f->a.client.trust, "anna", f->peers[1].id.key), 0);
    assert_int_equal(survey_ask(&f->a.survey, &q), 0);
    assert_int_equal(survey_count(&f->a.survey, SURVEY_ANSWERED), 1);
}

static void nobody_there_is_said_at_once(void **state) {
    struct fixture *f = *state;
    const struct survey_question q = question(f, "film");

    assert_int_equal(survey_add(&f->a.survey, "127.0.0.1:1"), 0);
    assert_int_equal(survey_ask(&f->a.survey, &q), 0);
    assert_int_equal(survey_first(&f->a.survey, SURVEY_FAILED)->why, UV_ECONNREFUSED);
    assert_int_equal(asking_report(&f->a, &q, 0), CODE_NOT_FOUND);
}

/* Nobody was named, and the one that was seen says no. */
static void who_does_not_let_us_in_is_told(void **state) {
    static struct survey_peer seen = {.state = SURVEY_FAILED, .seen_name = "anna"};
    static struct survey_peer *all[] = {&seen};
    const struct survey r = {.all = all, .n = 1};

    seen.why = WIRE_ERR(WIRE_DENIED); /* we are on another link */
    assert_int_equal(survey_nobody(&r, NULL), CODE_REFUSED);
    seen.why = ERR_KEY_OTHER; /* an announcement of old, perhaps */
    assert_int_equal(survey_nobody(&r, NULL), CODE_NOT_FOUND);
    seen.why = UV_ETIMEDOUT;
    assert_int_equal(survey_nobody(&r, NULL), CODE_NOT_FOUND);
}

/* A socket that accepts and says nothing. */
static int mute_listener(char word[static 32]) {
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof addr;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&addr, len), 0);
    assert_int_equal(listen(fd, 4), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&addr, &len), 0);
    snprintf(word, 32, "127.0.0.1:%u", ntohs(addr.sin_port));
    return fd;
}

static void the_mute_do_not_hold_up_the_others(void **state) {
    struct fixture *f = *state;
    struct survey_question q = question(f, "film");
    char word[32];
    int fd = mute_listener(word);

    q.wait_ms = 300;
    assert_int_equal(survey_add(&f->a.survey, word), 0);
    assert_int_equal(survey_add(&f->a.survey, f->peers[0].word), 0);
    assert_int_equal(survey_ask(&f->a.survey, &q), 0);
    assert_int_equal(survey_count(&f->a.survey, SURVEY_ANSWERED), 1);
    assert_int_equal(survey_first(&f->a.survey, SURVEY_FAILED)->why, UV_ETIMEDOUT);
    assert_int_equal(f->hits.n, 1);
    close(fd);
}

static void enough_rows_are_an_answer(void **state) {
    struct fixture *f = *state;
    struct survey_question q = question(f, "film");

    q.max_rows = 1;
    q.kind = QUERY_LIST;
    q.arg = "";
    assert_int_equal(survey_add(&f->a.survey, f->peers[0].word), 0);
    assert_int_equal(survey_ask(&f->a.survey, &q), 0);
    assert_int_equal(survey_count(&f->a.survey, SURVEY_ANSWERED), 1);
    assert_int_equal(f->hits.n, 1);
}

static void an_address_is_asked_alone(void **state) {
    struct fixture *f = *state;
    struct survey_question q = question(f, "film");
    struct peer_spec spec;
    char label[SURVEY_LABEL_LEN];

    assert_int_equal(what_parse_peer(&spec, f->peers[1].word), 0);
    q.only = &spec;
    assert_int_equal(survey_add(&f->a.survey, f->peers[0].word), 0);
    for (unsigned i = 0; i < 3; i++) { /* the same peer each time, not one more */
        assert_int_equal(survey_ask(&f->a.survey, &q), 0);
        assert_int_equal(survey_count(&f->a.survey, SURVEY_ANSWERED), 1);
        assert_int_equal(f->a.survey.n, 2);
    }
    survey_label(&f->a.survey, survey_first(&f->a.survey, SURVEY_ANSWERED), label);
    assert_string_equal(label, f->peers[1].word);
}

static void ignore_closed(struct conn *c, int why, const char *text) {}

static const struct conn_handler taken_events = {.on_closed = ignore_closed};

static void who_has_it_stays_connected(void **state) {
    struct fixture *f = *state;
    struct survey *r = &f->a.survey;
    struct survey_question q = question(f, "film");
    const struct survey_peer *first;
    struct conn *c;

    q.keep = true;
    assert_int_equal(survey_add(r, f->peers[0].word), 0);
    assert_int_equal(survey_add(r, f->peers[1].word), 0);
    assert_int_equal(survey_ask(r, &q), 0);
    assert_int_equal(r->n_kept, 2);
    first = survey_first(r, SURVEY_ANSWERED);
    c = survey_take(r, first);
    assert_non_null(c);
    assert_memory_equal(conn_key(c), first->key, KEY_LEN);
    assert_null(survey_take(r, first));
    conn_set_handler(c, &taken_events, NULL);
    conn_close(c, 0);
    assert_int_equal(r->n_kept, 1);

    q.arg = "nothing"; /* the next question, and nobody has it */
    assert_int_equal(survey_ask(r, &q), 0);
    assert_int_equal(survey_count(r, SURVEY_ANSWERED), 2);
    assert_int_equal(r->n_kept, 0);
}

static void who_goes_away_is_not_kept(void **state) {
    struct fixture *f = *state;
    struct survey *r = &f->a.survey;
    struct survey_question q = question(f, "film");
    const struct survey_peer *p;

    q.keep = true;
    assert_int_equal(survey_add(r, f->peers[0].word), 0);
    assert_int_equal(survey_ask(r, &q), 0);
    p = survey_first(r, SURVEY_ANSWERED);
    assert_non_null(p->conn);
    conn_abort(p->conn, UV_ECONNRESET);
    while (p->conn)
        uv_run(f->a.client.loop, UV_RUN_ONCE);
    assert_int_equal(r->n_kept, 0);
    assert_null(survey_take(r, p));
}

/* Its first connection breaks at each byte that it says, as when it is started anew just then. */
static void who_was_cut_off_is_asked_again(void **state) {
    struct fixture *f = *state;
    struct survey *r = &f->a.survey;
    struct survey_question q = question(f, "film");
    struct peer_spec spec;
    char word[32];

    q.only = &spec;
    for (uint64_t at = 0;; at += 50) {
        struct line line = {.fault = {.kind = at % 100 ? CUT : RESET, .from = SERVER, .at = at}};

        line_open(&line, f->a.client.loop, (uint16_t)server_port(f->peers[0].server));
        snprintf(word, sizeof word, "127.0.0.1:%u", line.port);
        assert_int_equal(what_parse_peer(&spec, word), 0);
        assert_int_equal(survey_ask(r, &q), 0);
        assert_int_equal(survey_count(r, SURVEY_ANSWERED), 1);
        assert_int_equal(f->hits.n, 1);
        hits_clear(&f->hits);
        line_close(&line);
        while (line.n_open > 0)
            uv_run(f->a.client.loop, UV_RUN_ONCE);
        if (line.n_hops == 1) /* it said all that it had to say before that byte */
            break;
        assert_int_equal(line.n_hops, 2);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(answers_of_all_are_one, setup, teardown),
        cmocka_unit_test_setup_teardown(one_peer_at_two_addresses_is_one, setup, teardown),
        cmocka_unit_test_setup_teardown(a_changed_key_is_not_listened_to, setup, teardown),
        cmocka_unit_test_setup_teardown(a_host_is_not_the_peer_of_its_name, setup, teardown),
        cmocka_unit_test_setup_teardown(nobody_there_is_said_at_once, setup, teardown),
        cmocka_unit_test(who_does_not_let_us_in_is_told),
        cmocka_unit_test_setup_teardown(the_mute_do_not_hold_up_the_others, setup, teardown),
        cmocka_unit_test_setup_teardown(enough_rows_are_an_answer, setup, teardown),
        cmocka_unit_test_setup_teardown(an_address_is_asked_alone, setup, teardown),
        cmocka_unit_test_setup_teardown(who_has_it_stays_connected, setup, teardown),
        cmocka_unit_test_setup_teardown(who_goes_away_is_not_kept, setup, teardown),
        cmocka_unit_test_setup_teardown(who_was_cut_off_is_asked_again, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
