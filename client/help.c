/* What `urd help` prints, and how a command reports failure: both from the one table of commands.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/command.h"

/* @text and spaces up to @columns, counting characters, not bytes. */
static void print_padded(const char *text, int columns)
{
    for (const char *p = text; *p != '\0'; p++)
        if (((unsigned char)*p & 0xc0) != 0x80) columns--;
    (void)printf("%s%*s", text, columns > 0 ? columns : 0, "");
}

static void print_flags(const struct client_flag *flags)
{
    for (; flags != NULL && flags->name != NULL; flags++) {
        char left[64];
        (void)snprintf(left, sizeof left, "--%s%s%s", flags->name, flags->arg != NULL ? " " : "",
                       flags->arg != NULL ? flags->arg : "");
        (void)printf("  ");
        print_padded(left, 28);
        (void)printf(" %s%s\n", flags->help, flags->many ? " (may be repeated)" : "");
    }
}

static void print_one(const struct client_command *c)
{
    (void)printf("urd %s %s\n\n%s\n", c->words, c->args, c->summary);
    if (c->detail != NULL) (void)printf("%s\n", c->detail);
    if (c->flags != NULL) (void)printf("\n");
    print_flags(c->flags);
    (void)printf("\nEvery command takes:\n");
    print_flags(client_flags_common);
}

/* @words is the whole of, or the first words of, command @c. */
static bool is_below(const char *words, const struct client_command *c)
{
    size_t len = strlen(words);
    return len == 0 ||
           (strncmp(c->words, words, len) == 0 && (c->words[len] == ' ' || c->words[len] == '\0'));
}

bool client_help(const char *words)
{
    bool found = false;
    for (const struct client_command *c = client_commands; c->words != NULL; c++)
        found = found || is_below(words, c);
    if (!found) return false;
    for (const struct client_command *c = client_commands; c->words != NULL; c++) {
        if (strcmp(c->words, words) != 0) continue;
        print_one(c);
        return true;
    }
    (void)printf("urd: sagas, files and capabilities across machines\n\n");
    for (const struct client_command *c = client_commands; c->words != NULL; c++) {
        if (!is_below(words, c)) continue;
        char left[96];
        (void)snprintf(left, sizeof left, "%s %s", c->words, c->args);
        (void)printf("  urd ");
        print_padded(left, 44);
        (void)printf(" %s\n", c->summary);
    }
    (void)printf("\n'urd help COMMAND' says more.  Exit: 0 done, 1 failed, 2 usage, 3 compensated, "
                 "4 stuck,\n"
                 "5 denied, 6 timed out waiting, 7 node not reachable.\n");
    return true;
}

void client_print_json(json_t *json)
{
    char *text = json_dumps(json, JSON_COMPACT | JSON_PRESERVE_ORDER);
    if (text != NULL) (void)printf("%s\n", text);
    (void)fflush(stdout);
    free(text);
    json_decref(json);
}

static int exit_of(urd_err err)
{
    switch (err) {
    case URD_OK:
        return CLIENT_EXIT_DONE;
    case URD_E_DENIED:
    case URD_E_REVOKED:
        return CLIENT_EXIT_DENIED;
    case URD_E_TIMEOUT:
        return CLIENT_EXIT_TIMEOUT;
    case URD_E_UNREACHABLE:
        return CLIENT_EXIT_UNREACHABLE;
    default:
        return CLIENT_EXIT_FAILED;
    }
}

int client_fail(const struct client_invocation *inv, urd_err err, const char *sentence)
{
    if (sentence == NULL || sentence[0] == '\0') sentence = urd_err_text(err);
    if (inv->json)
        client_print_json(json_pack("{s{sssssn}}", "error", "code", urd_err_name(err), "message",
                                    sentence, "cause"));
    else
        (void)fprintf(stderr, "urd: %s (%s)\n", sentence, urd_err_name(err));
    return exit_of(err);
}

bool client_is_terminal(void)
{
    const char *plain = getenv("NO_COLOR");
    return isatty(STDERR_FILENO) && (plain == NULL || plain[0] == '\0');
}
