/* SPDX-License-Identifier: MIT */
/*
 * Input: role, step, then what the peer sends. The same messages and the same end must come out
 * whether the bytes come at once, one at a time, or `step` at a time.
 */
#include "proto/session.h"

#include "tests/fuzz/fuzz.h"

struct heard {
    unsigned n;
    uint32_t types; /* a sum over them, in order */
    int end;
};

static struct heard listen(enum session_role role, const uint8_t *in, size_t len, size_t step) {
    static uint8_t lent[WIRE_FRAME_MAX];
    struct session s;
    struct heard h = {0};
    struct msg m;
    uint8_t *at;
    size_t room;
    session_init(&s, role);
    while (len > 0 && h.end == 0) {
        int r = session_space(&s, &at, &room);
        must(r == 0 || r == SESSION_LEND);
        if (r == SESSION_LEND) {
            must(session_open(&s)); /* no memory for strangers */
            session_lend(&s, lent);
            continue;
        }
        must(room > 0 && room <= WIRE_FRAME_MAX);
        room = room < len ? room : len;
        room = room < step ? room : step;
        memcpy(at, in, room);
        session_filled(&s, room);
        in += room;
        len -= room;
        r = session_next(&s, &m);
        must(r <= 1);
        h.end = r < 0 ? r : 0;
        if (r == 1) {
            bool farewell = m.type == WIRE_ERROR || m.type == WIRE_BYE;
            must(h.n > 0 || farewell || m.type == WIRE_HELLO);
            must(m.type <= WIRE_BYE || session_open(&s));
            h.n++;
            h.types = h.types * 31 + m.type;
            if (h.n % 2 == 0) /* kept now and then */
                session_take(&s);
        }
    }
    must(h.end == 0 || session_space(&s, &at, &room) == h.end);
    session_clear(&s);
    return h;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 2)
        return 0;
    enum session_role role = data[0] & 1 ? SESSION_LISTENER : SESSION_DIALLER;
    size_t step = (size_t)data[1] + 1;
    struct heard whole = listen(role, data + 2, size - 2, SIZE_MAX);
    struct heard bytes = listen(role, data + 2, size - 2, 1);
    struct heard steps = listen(role, data + 2, size - 2, step);
    must(whole.n == bytes.n && whole.types == bytes.types && whole.end == bytes.end);
    must(whole.n == steps.n && whole.types == steps.types && whole.end == steps.end);
    return 0;
}
