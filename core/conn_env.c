/* SPDX-License-Identifier: MIT */
#include "core/conn.h"
#include "proto/name.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int conn_env_init(struct conn_env *env, uv_loop_t *loop, enum tls_role role,
                  const struct identity *id, struct pool *pool) {
    int r;

    *env = (struct conn_env){.loop = loop, .pool = pool, .patience = &patience_default};
    conn_env_set_name(env, "");
    env->read_block = malloc(CONN_READ_BLOCK);
    if (!env->read_block)
        return -ENOMEM;
    r = crew_new(&env->crew);
    if (r == 0)
        r = tls_context_new(&env->tls, id, role);
    if (r)
        conn_env_clear(env);
    return r;
}

/* The longest start of text, in whole characters, that fits. */
static size_t fit(const char *text, size_t cap) {
    size_t len = strlen(text);

    if (len <= cap)
        return len;
    for (len = cap; len > 0 && ((uint8_t)text[len] & 0xc0) == 0x80; len--)
        ;
    return len;
}

void conn_env_set_name(struct conn_env *env, const char *name) {
    size_t len = strlen(name);

    if (len == 0)
        name = "unnamed";
    if (name_utf8_ok(name, strlen(name))) {
        len = fit(name, WIRE_NAME_LEN);
        memcpy(env->name, name, len);
        env->name[len] = '\0';
    } else {
        name_show(name, len, env->name, sizeof env->name);
    }
}

void conn_env_clear(struct conn_env *env) {
    crew_free(env->crew);
    tls_context_free(env->tls);
    free(env->read_block);
    memset(env, 0, sizeof *env);
}
