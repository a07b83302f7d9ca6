/* SPDX-License-Identifier: MIT */
/*
 * err -- error numbers and their sentences
 *
 * An int says how a call ended: 0 success; below 0 an error, passed up unchanged and reported once;
 * above 0 an answer that the called function documents. Errors come from three places and never
 * overlap: errno and libuv (-1 .. -4095), the protocol (WIRE_ERR(code), -10001 .. -10099, see
 * proto/wire.h), and ours (below, from -10101).
 */
#ifndef CORE_ERR_H
#define CORE_ERR_H

#define ERR_MAP(X)                                                                                 \
    X(ERR_TLS, -10101, "the encrypted connection failed")                                          \
    X(ERR_TLS_CUT, -10102, "the connection was cut in the middle")                                 \
    X(ERR_KEY_CHANGED, -10103, "the peer's key is not the one known under its name")               \
    X(ERR_KEY_OTHER, -10104, "another peer answered at this address")                              \
    X(ERR_CODE_UNASKED, -10140, "the peer asks for no access code")                                \
    X(ERR_CODE_UNPROVEN, -10141, "the peer does not know the access code that it asks for")        \
    X(ERR_KEY_FILE, -10105, "the key file is not usable")                                          \
    X(ERR_KNOWN_PEERS, -10106, "the file of known peers is malformed")                             \
    X(ERR_HELD, -10107, "another download is writing there")                                       \
    X(ERR_EXISTS, -10108, "the target exists already")                                             \
    X(ERR_CORRUPT, -10109, "a chunk arrived damaged three times")                                  \
    X(ERR_CHANGING, -10110, "a file keeps changing at its source")                                 \
    X(ERR_STALLED, -10111, "nothing arrived for too long")                                         \
    X(ERR_NO_SPACE, -10112, "not enough free space")                                               \
    X(ERR_TOO_LARGE, -10128, "it is larger than one download can be")                              \
    X(ERR_STOPPED, -10113, "stopped")                                                              \
    X(ERR_FORMAT, -10114, "a file of ours is malformed")                                           \
    X(ERR_LINK, -10116, "the symlink leads out of what was downloaded")                            \
    X(ERR_STAGING, -10117, "names that end in .lanyard-part are for downloads on their way")       \
    X(ERR_FOREIGN, -10118, "no staging folder of ours, or one without its journal")                \
    X(ERR_OTHER_VERSION, -10119, "another version of lanyard has begun it")                        \
    X(ERR_OWNER, -10120, "it belongs to another user")                                             \
    X(ERR_MOUNT, -10121, "it is, or lies in, a mount of its own")                                  \
    X(ERR_LOCKED, -10127, "it may not be written to")                                              \
    X(ERR_NEWER, -10122, "the one that is here is newer and stays")                                \
    X(ERR_KIND, -10123, "something of another kind has its name here and stays")                   \
    X(ERR_TOUCHED, -10124, "the one that is here was changed meanwhile and stays")                 \
    X(ERR_TAMPERED, -10125, "somebody changed it while it was on its way")

enum err {
#define X(name, number, sentence) name = number,
    ERR_MAP(X)
#undef X
};

/* The sentence for any error number, from all three places. Static, never NULL, no newline, no peer
 * text. Never call it with 0 or above. */
const char *err_text(int err);

/* The error for a code that a peer gave, below 0: one that no version knows must not pass for an
 * error of ours. */
int err_of_code(unsigned code);

/* The code of an error of the protocol, for a peer; 0 for errors of other kinds. */
unsigned err_code(int err);

#endif
