/* SPDX-License-Identifier: MIT */
/*
 * log -- lines on stderr for whoever runs the program
 *
 *     #define LOG_MODULE "conn"       on top of each file that logs
 *     log_info("%s: dialled", addr);
 *
 * Levels: warn is always shown, info from -v, debug from -vv. One line a call: control characters
 * in what is printed are escaped, so text from peers cannot break out. Any thread may log.
 */
#ifndef CORE_LOG_H
#define CORE_LOG_H

enum log_level { LOG_WARN, LOG_INFO, LOG_DEBUG };

/* Show levels up to this one. Default LOG_WARN. Call before threads start. */
void log_set_level(enum log_level level);
enum log_level log_level(void);

void log_line(enum log_level level, const char *module, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#define log_at(level, ...)                                                                         \
    do {                                                                                           \
        if ((level) <= log_level())                                                                \
            log_line((level), LOG_MODULE, __VA_ARGS__);                                            \
    } while (0)
#define log_warn(...) log_at(LOG_WARN, __VA_ARGS__)
#define log_info(...) log_at(LOG_INFO, __VA_ARGS__)
#define log_debug(...) log_at(LOG_DEBUG, __VA_ARGS__)

#endif
