/* client/command.h -- a command of `urd`: its words, its flags, what runs it.
 *
 * One table (commands.c) holds them all; parsing, `--help`, `urd help` and the usage errors come
 * from it, so they cannot say different things.  A command runs as a task and returns the exit
 * status of cli.md. */
#ifndef CLIENT_COMMAND_H
#define CLIENT_COMMAND_H

#include <jansson.h>

#include "runtime/cx.h"

enum client_exit {
    CLIENT_EXIT_DONE = 0,
    CLIENT_EXIT_FAILED = 1,
    CLIENT_EXIT_USAGE = 2,
    CLIENT_EXIT_COMPENSATED = 3,
    CLIENT_EXIT_STUCK = 4,
    CLIENT_EXIT_DENIED = 5,
    CLIENT_EXIT_TIMEOUT = 6,
    CLIENT_EXIT_UNREACHABLE = 7
};

enum client_flag_kind {
    CLIENT_FLAG_BOOL,
    CLIENT_FLAG_TEXT,
    CLIENT_FLAG_DURATION, /* nanoseconds */
    CLIENT_FLAG_SIZE,     /* bytes */
    CLIENT_FLAG_RATE,     /* bits a second */
    CLIENT_FLAG_COUNT
};

struct client_flag {
    const char *name; /* without the dashes; NULL ends a table */
    enum client_flag_kind kind;
    const char *arg; /* how help names its value; NULL for BOOL */
    const char *help;
    bool many; /* may be given more than once */
};

struct client_invocation;

/* How a command is run. */
enum client_way {
    CLIENT_TASK,    /* as a task, which SIGINT and SIGTERM cancel */
    CLIENT_SIGNALS, /* as a task that waits for signals itself */
    CLIENT_PLAIN,   /* it starts the runtime itself: @cx is NULL */
};

struct client_command {
    const char *words; /* "saga submit" */
    const char *args;  /* "FILE|-", for help */
    unsigned args_min, args_max;
    const char *summary; /* one line */
    const char *detail;  /* more lines for `urd help`, or NULL */
    const struct client_flag *flags;
    int (*run)(struct urd_cx *cx, const struct client_invocation *inv);
    enum client_way way;
};

#define CLIENT_FLAG_VALUES_MAX 64u

struct client_flag_value {
    const struct client_flag *flag;
    const char *text;
    uint64_t number;
};

struct client_invocation {
    const struct client_command *command;
    const char *args[CLIENT_FLAG_VALUES_MAX];
    unsigned args_count;
    struct client_flag_value values[CLIENT_FLAG_VALUES_MAX];
    unsigned values_count;
    bool json; /* --json */
};

/* All commands; ended by one whose words are NULL. */
extern const struct client_command client_commands[];
/* Flags that every command takes: --json --node --cap --home --profile --timeout --help. */
extern const struct client_flag client_flags_common[];

/* Find the command in @argv and parse what follows.  0, or an exit status after a sentence on
 * standard error (usage), or after help on standard output (*@ret_help). */
int client_parse(int argc, char **argv, struct client_invocation *ret, bool *ret_help);

/* Values by flag name: the last one given, or the default. */
bool client_given(const struct client_invocation *inv, const char *name);
const char *client_text(const struct client_invocation *inv, const char *name,
                        const char *otherwise);
uint64_t client_number(const struct client_invocation *inv, const char *name, uint64_t otherwise);
/* The @nth value (from 0) of a flag that may be given many times; NULL after the last. */
const char *client_text_nth(const struct client_invocation *inv, const char *name, unsigned nth);

/* Help: all commands (""), those below a word, or one whole.  False: there is no such command. */
bool client_help(const char *words);
/* The manual page, as roff. */
void client_help_man(void);

/* Print @json (stolen) as one line on standard output. */
void client_print_json(json_t *json);
/* Say that the command failed: `{"error":…}` with --json, else "urd: sentence" on standard error.
 * Answers the exit status that belongs to @err. */
int client_fail(const struct client_invocation *inv, urd_err err, const char *sentence);
/* Whether messages may be coloured and progress bars drawn on standard error. */
bool client_is_terminal(void);

#endif
