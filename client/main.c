/* The `urd` command: find what was asked for in the table, run it as a task, exit with its status.
 */
#include <stdio.h>
#include <string.h>

#include "client/client.h"
#include "client/commands_internal.h"

struct running {
    struct client_invocation inv;
    int status;
};

static urd_err run(struct urd_cx *cx, void *arg)
{
    struct running *r = arg;
    r->status = r->inv.command->run(cx, &r->inv);
    return URD_OK;
}

int client_run_help(struct urd_cx *cx, const struct client_invocation *inv)
{
    (void)cx;
    char words[128] = "";
    for (unsigned i = 0; i < inv->args_count; i++) {
        size_t used = strlen(words);
        (void)snprintf(words + used, sizeof words - used, "%s%s", i > 0 ? " " : "", inv->args[i]);
    }
    if (client_given(inv, "man")) {
        client_help_man();
        return CLIENT_EXIT_DONE;
    }
    if (client_help(words)) return CLIENT_EXIT_DONE;
    (void)fprintf(stderr, "urd: no command '%s'; 'urd help' lists them\n", words);
    return CLIENT_EXIT_USAGE;
}

int main(int argc, char **argv)
{
    struct running r = { .status = CLIENT_EXIT_FAILED };
    bool help;
    if (argc == 2 && strcmp(argv[1], "--version") == 0) {
        (void)printf("urd %s\n", URD_VERSION);
        return CLIENT_EXIT_DONE;
    }
    int status = client_parse(argc, argv, &r.inv, &help);
    if (status != 0 || help) return status;
    switch (r.inv.command->way) {
    case CLIENT_PLAIN:
        return r.inv.command->run(NULL, &r.inv);
    case CLIENT_SIGNALS:
        status = urd_client_main_signals(run, &r);
        break;
    case CLIENT_TASK:
        status = urd_client_main(run, &r);
        break;
    }
    return status != 0 ? CLIENT_EXIT_FAILED : r.status;
}
