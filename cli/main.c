/* SPDX-License-Identifier: MIT */
/*
 * lanyard -- share files between the computers of one local network
 *
 * The program is one table of commands; each has a file cmd_NAME.c.
 */
#include "cli/commands.h"
#include "cli/confined.h"
#include "cli/opts.h"
#include "cli/prompt.h"
#include "cli/stop.h"
#include "core/log.h"
#include "proto/name.h"

#include <errno.h>
#include <fcntl.h>
#include <langinfo.h>
#include <locale.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

const struct command commands[] = {
    {"share", NULL, "[PATH...]", "Offer files and folders until Ctrl-C", cmd_share},
    {"list-peers", "peers", "", "Show who is here", cmd_list_peers},
    {"list", "ls", "[PEER[:PATH]]", "Show what peers offer", cmd_list},
    {"find", NULL, "PATTERN", "Show which peers have a name like this", cmd_find},
    {"download", "get", "WHAT...", "Get files and folders; run it again to resume", cmd_download},
    {"id", NULL, "", "Show our name and key", cmd_id},
    {"trust", NULL, "...", "Known peers: list, pin, forget", cmd_trust},
    {"doctor", NULL, "", "Find out why others are not seen", cmd_doctor},
    {0},
};

enum { COMMANDS_MAX = 32, WORD_SHOWN = 256 };

const struct command *command_find(const char *word) {
    for (const struct command *c = commands; c->name; c++)
        if (strcmp(word, c->name) == 0 || (c->alias && strcmp(word, c->alias) == 0))
            return c;
    return NULL;
}

static int unknown_command(const char *word) {
    const char *names[COMMANDS_MAX], *near;
    char shown[WORD_SHOWN];
    size_t n = 0;

    for (const struct command *c = commands; c->name; c++) {
        names[n++] = c->name;
        if (c->alias)
            names[n++] = c->alias;
    }
    near = opts_closest(word, names, n);
    name_show(word, strlen(word), shown, sizeof shown);
    if (near)
        return fail(CODE_USAGE, "there is no command `%s`; did you mean `%s`?", shown, near);
    return fail(CODE_USAGE, "there is no command `%s`; `lanyard --help` lists them", shown);
}

/* Was everything that was asked for written? A reader that went away needs no explanation. */
static int check_stdout(int code) {
    errno = 0;
    if (fflush(stdout) == 0 && !ferror(stdout))
        return code;
    if (errno && errno != EPIPE)
        fail(CODE_FAILED, "cannot write to standard output: %s", strerror(errno));
    return code ? code : CODE_FAILED;
}

void commands_help(void) {
    puts("usage: lanyard [-v] COMMAND ...\n\n"
         "Share files between the computers of one local network, with nothing to set up.\n");
    for (const struct command *c = commands; c->name; c++) {
        char left[64];

        snprintf(left, sizeof left, "%s %s", c->name, c->args);
        printf("  %-26s %s", left, c->summary);
        if (c->alias)
            printf(" (also: %s)", c->alias);
        putchar('\n');
    }
    puts(
        "\nWithout a command: a prompt for the same commands, that shares the current folder too.\n"
        "`lanyard COMMAND --help` tells more. `-v` tells more on stderr, `-vv` everything.");
}

/* `help`, or `help COMMAND`: what --help says. */
static int help(int argc, char **argv) {
    const struct command *c = argc > 1 ? command_find(argv[1]) : NULL;
    char help_option[] = "--help", *words[] = {argv[argc - 1], help_option, NULL};

    if (argc > 1 && !c)
        return unknown_command(argv[1]);
    if (c)
        return c->run(NULL, 2, words); /* parses no further than --help */
    commands_help();
    return CODE_DONE;
}

int command_run(struct app *app, int argc, char **argv) {
    const struct command *c = command_find(argv[0]);

    if (strcmp(argv[0], "help") == 0)
        return check_stdout(help(argc, argv));
    if (!c)
        return unknown_command(argv[0]);
    return check_stdout(c->run(app, argc, argv));
}

/* Options before the command. Returns how many words they take, or -1 - exit code if the program
 * is done with them. */
static int global_options(int argc, char **argv) {
    int i = 1;

    for (; i < argc && argv[i][0] == '-'; i++) {
        if (strcmp(argv[i], "-v") == 0 || strcmp(argv[i], "--verbose") == 0) {
            log_set_level(log_level() == LOG_WARN ? LOG_INFO : LOG_DEBUG);
        } else if (strcmp(argv[i], "-vv") == 0) {
            log_set_level(LOG_DEBUG);
        } else if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            commands_help();
            return -1 - CODE_DONE;
        } else if (strcmp(argv[i], "--version") == 0) {
            puts("lanyard " LANYARD_VERSION);
            return -1 - CODE_DONE;
        } else {
            char shown[WORD_SHOWN];

            name_show(argv[i], strlen(argv[i]), shown, sizeof shown);
            return -1 - fail(CODE_USAGE,
                             "unknown option %s before the command; see `lanyard --help`", shown);
        }
    }
    return i;
}

/* Only how characters are encoded and how wide they are: numbers keep their decimal point. What we
 * print is UTF-8, whatever the locale. */
static void set_locale(void) {
    setlocale(LC_CTYPE, "");
    if (strcmp(nl_langinfo(CODESET), "UTF-8") != 0)
        setlocale(LC_CTYPE, "C.UTF-8");
}

/* Whoever starts us may have closed some of 0, 1 and 2. A file of a download would get that number,
 * and what we print would go into it. */
static bool open_streams(void) {
    int fd;

    do
        fd = open("/dev/null", O_RDWR);
    while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

/* Before a command watches signals itself there is nothing to bring in order. */
static void on_early_signal(int signum) { _exit(CODE_INCOMPLETE); }

static void on_early_end_of_share(int signum) { _exit(CODE_DONE); }

static void catch_early_signals(const char *command) {
    bool shares = command && strcmp(command, "share") == 0;

    for (unsigned i = 0; i < STOP_SIGNALS; i++)
        if (stop_is_heeded(stop_signals[i]))
            signal(stop_signals[i], shares ? on_early_end_of_share : on_early_signal);
}

int main(int argc, char **argv) {
    struct app app = {0};
    int first, code;

    if (!open_streams())
        return CODE_FAILED;
    set_locale();
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a file beyond the limit (ulimit -f) is EFBIG then */
    first = global_options(argc, argv);
    if (first < 0)
        return check_stdout(-1 - first);
    if (first < argc)
        catch_early_signals(argv[first]);
    confined_calls();
    code = first < argc ? command_run(&app, argc - first, argv + first) : prompt(&app);
    if (app.left_behind) { /* exit(3) would join libuv's threads */
        fflush(NULL);
        _exit(code);
    }
    app_clear(&app);
    return code;
}
