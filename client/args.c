/* From argv to an invocation: longest command whose words match, then flags and arguments in any
 * order. */
#include <stdio.h>
#include <string.h>

#include "client/command.h"
#include "client/units.h"

/* How many words of @argv name @command, or 0. */
static int words_matched(const struct client_command *command, int argc, char **argv)
{
    const char *p = command->words;
    for (int i = 0; i < argc; i++) {
        size_t len = strcspn(p, " ");
        if (strlen(argv[i]) != len || strncmp(argv[i], p, len) != 0) return 0;
        p += len;
        if (*p == '\0') return i + 1;
        p++;
    }
    return 0;
}

static const struct client_command *find_command(int argc, char **argv, int *ret_words)
{
    const struct client_command *found = NULL;
    *ret_words = 0;
    for (const struct client_command *c = client_commands; c->words != NULL; c++) {
        int words = words_matched(c, argc, argv);
        if (words <= *ret_words) continue;
        found = c;
        *ret_words = words;
    }
    return found;
}

static const struct client_flag *find_in(const struct client_flag *flags, const char *name,
                                         size_t len)
{
    for (; flags != NULL && flags->name != NULL; flags++)
        if (strlen(flags->name) == len && strncmp(flags->name, name, len) == 0) return flags;
    return NULL;
}

static const struct client_flag *find_flag(const struct client_command *command, const char *name,
                                           size_t len)
{
    const struct client_flag *flag = find_in(command->flags, name, len);
    return flag != NULL ? flag : find_in(client_flags_common, name, len);
}

static bool parse_value(struct client_flag_value *value)
{
    switch (value->flag->kind) {
    case CLIENT_FLAG_BOOL:
    case CLIENT_FLAG_TEXT:
        return true;
    case CLIENT_FLAG_DURATION:
        return client_parse_duration(value->text, &value->number);
    case CLIENT_FLAG_SIZE:
        return client_parse_size(value->text, &value->number);
    case CLIENT_FLAG_RATE:
        return client_parse_rate(value->text, &value->number);
    case CLIENT_FLAG_COUNT:
        return client_parse_count(value->text, UINT64_MAX, &value->number);
    }
    return false;
}

static int usage(const struct client_command *command, const char *what, const char *which)
{
    (void)fprintf(stderr, "urd: %s: %s '%s'\nusage: urd %s %s\nsee 'urd help %s'\n", command->words,
                  what, which, command->words, command->args, command->words);
    return CLIENT_EXIT_USAGE;
}

/* Take flag argv[*at] and its value; advances *@at over what it used. */
static int take_flag(int argc, char **argv, int *at, struct client_invocation *inv)
{
    const char *name = argv[*at] + 2;
    size_t len = strcspn(name, "=");
    struct client_flag_value value = { .flag = find_flag(inv->command, name, len) };
    if (value.flag == NULL) return usage(inv->command, "no such flag", argv[*at]);
    if (value.flag->kind == CLIENT_FLAG_BOOL) {
        if (name[len] == '=') return usage(inv->command, "takes no value:", argv[*at]);
    } else if (name[len] == '=') {
        value.text = name + len + 1;
    } else {
        if (*at + 1 == argc) return usage(inv->command, "wants a value:", argv[*at]);
        value.text = argv[++*at];
    }
    if (!parse_value(&value)) return usage(inv->command, "not understood:", value.text);
    if (!value.flag->many && client_given(inv, value.flag->name))
        return usage(inv->command, "given twice:", argv[*at]);
    if (inv->values_count == CLIENT_FLAG_VALUES_MAX)
        return usage(inv->command, "too many flags at", name);
    inv->values[inv->values_count++] = value;
    return 0;
}

static int take_rest(int argc, char **argv, struct client_invocation *inv)
{
    bool flags_over = false;
    for (int i = 0; i < argc; i++) {
        if (!flags_over && strcmp(argv[i], "--") == 0) {
            flags_over = true;
        } else if (!flags_over && strncmp(argv[i], "--", 2) == 0) {
            int status = take_flag(argc, argv, &i, inv);
            if (status != 0) return status;
        } else {
            if (inv->args_count == inv->command->args_max)
                return usage(inv->command, "one argument too many:", argv[i]);
            inv->args[inv->args_count++] = argv[i];
        }
    }
    return 0;
}

int client_parse(int argc, char **argv, struct client_invocation *ret, bool *ret_help)
{
    struct client_invocation inv = { 0 };
    int words;
    *ret_help = false;
    inv.command = find_command(argc - 1, argv + 1, &words);
    if (inv.command == NULL) {
        if (argc < 2) {
            (void)fprintf(stderr, "urd: no command given; 'urd help' lists them\n");
        } else if (strcmp(argv[1], "--help") == 0) {
            *ret_help = client_help("");
            return 0;
        } else {
            (void)fprintf(stderr, "urd: no command '%s%s%s'; 'urd help' lists them\n", argv[1],
                          argc > 2 ? " " : "", argc > 2 ? argv[2] : "");
        }
        return CLIENT_EXIT_USAGE;
    }
    int status = take_rest(argc - 1 - words, argv + 1 + words, &inv);
    if (status != 0) return status;
    if (client_given(&inv, "help")) {
        *ret_help = client_help(inv.command->words);
        return 0;
    }
    if (inv.args_count < inv.command->args_min)
        return usage(inv.command, "wants more:", inv.command->args);
    inv.json = client_given(&inv, "json");
    *ret = inv;
    return 0;
}

static const struct client_flag_value *last(const struct client_invocation *inv, const char *name)
{
    for (unsigned i = inv->values_count; i > 0; i--)
        if (strcmp(inv->values[i - 1].flag->name, name) == 0) return &inv->values[i - 1];
    return NULL;
}

bool client_given(const struct client_invocation *inv, const char *name)
{
    return last(inv, name) != NULL;
}

const char *client_text(const struct client_invocation *inv, const char *name,
                        const char *otherwise)
{
    const struct client_flag_value *value = last(inv, name);
    return value != NULL ? value->text : otherwise;
}

uint64_t client_number(const struct client_invocation *inv, const char *name, uint64_t otherwise)
{
    const struct client_flag_value *value = last(inv, name);
    return value != NULL ? value->number : otherwise;
}

const char *client_text_nth(const struct client_invocation *inv, const char *name, unsigned nth)
{
    for (unsigned i = 0; i < inv->values_count; i++)
        if (strcmp(inv->values[i].flag->name, name) == 0 && nth-- == 0) return inv->values[i].text;
    return NULL;
}
