/* The manual page: the table of commands as roff (man(7)), between sentences that are no table's.
 */
#include <stdio.h>
#include <string.h>

#include "client/command.h"

/* Text as roff shows it: no line begins with a request, hyphens stay hyphens. */
static void print_text(const char *text)
{
    if (*text == '.' || *text == '\'') (void)printf("\\&");
    for (; *text != '\0'; text++) {
        if (*text == '\\')
            (void)printf("\\e");
        else if (*text == '-')
            (void)printf("\\-");
        else
            (void)putchar(*text);
    }
}

static void print_flags(const struct client_flag *flags)
{
    for (; flags != NULL && flags->name != NULL; flags++) {
        (void)printf(".TP\n\\fB\\-\\-");
        print_text(flags->name);
        (void)printf("\\fR");
        if (flags->arg != NULL) {
            (void)printf(" \\fI");
            print_text(flags->arg);
            (void)printf("\\fR");
        }
        (void)printf("\n");
        print_text(flags->help);
        (void)printf("%s\n", flags->many ? " (may be repeated)" : "");
    }
}

static void print_command(const struct client_command *c)
{
    (void)printf(".SS \"urd ");
    print_text(c->words);
    (void)printf("%s", c->args[0] != '\0' ? " " : "");
    print_text(c->args);
    (void)printf("\"\n");
    print_text(c->summary);
    (void)printf("\n");
    if (c->detail != NULL) {
        (void)printf(".PP\n");
        print_text(c->detail);
        (void)printf("\n");
    }
    print_flags(c->flags);
}

static const char head[] =
    ".\\\" Made from the table of commands by `urd help --man`.\n"
    ".TH URD 1 \"\" \"urd " URD_VERSION "\" \"Urd\"\n"
    ".SH NAME\n"
    "urd \\- sagas, files and capabilities across machines\n"
    ".SH SYNOPSIS\n"
    ".B urd\n"
    ".I COMMAND\n"
    "[\\fIARGUMENT\\fR ...] [\\fB\\-\\-FLAG\\fR ...]\n"
    ".SH DESCRIPTION\n"
    "Urd runs sagas to one of two ends, committed or compensated, through any crash; moves files "
    "as\n"
    "RaptorQ symbols over links that lose packets; and hands out, narrows and takes back the right "
    "to\n"
    "do either.\n"
    "A node is a directory made by \\fBurd init\\fR and run by \\fBurd node\\fR; every other "
    "command\n"
    "asks a node, or works alone.\n"
    ".PP\n"
    "Durations are written as 250ms, 5s, 2h, 30d; sizes as 64KiB, 1GiB; rates as 100Mbit.\n"
    "Messages for people go to standard error.\n"
    ".SH \"FLAGS OF EVERY COMMAND\"\n";

static const char tail[] =
    ".SH \"EXIT STATUS\"\n"
    ".TP\n0\ndone; for a saga that was waited for: committed\n"
    ".TP\n1\nfailed; the message and its code say why\n"
    ".TP\n2\nwrong usage\n"
    ".TP\n3\nsaga compensated\n"
    ".TP\n4\nsaga stuck: see \\fBurd saga resolve\\fR\n"
    ".TP\n5\ndenied: the capability does not allow this, or is none\n"
    ".TP\n6\ntimed out waiting; what was asked goes on\n"
    ".TP\n7\nnode not reachable\n"
    ".PP\n"
    "With \\fB\\-\\-json\\fR an error is {\"error\":{\"code\":\"URD_E_...\",\"message\":\"...\"}} "
    "on\n"
    "standard output.\n"
    ".SH ENVIRONMENT\n"
    "Flags beat environment beats profile beats \\fBURD_HOME\\fR.\n"
    ".TP\n.B URD_NODE\nthe node to ask, NAME=URL, or several with a comma between each two\n"
    ".TP\n.B URD_CAP\nthe capability to show: the name of a file, @FILE, or the token's text\n"
    ".TP\n.B URD_PROFILE\na client profile, as \\fBurd invite \\-\\-client\\fR prints it\n"
    ".TP\n.B URD_HOME\na node directory: its address, its trust, its admin.cap\n"
    ".TP\n.B NO_COLOR\nnot empty: no progress lines\n"
    ".SH FILES\n"
    ".TP\n.I DIR/urd.conf\na node's configuration\n"
    ".TP\n.I DIR/admin.cap\nan unrestricted capability for the operator: a secret\n"
    ".TP\n.I DIR/root/\nthe files a node may send and receive\n"
    ".TP\n.I .urd\\-partial/\nbeside a destination: what is under way, from which a fetch goes "
    "on\n";

void client_help_man(void)
{
    (void)printf("%s", head);
    print_flags(client_flags_common);
    (void)printf(".SH COMMANDS\n");
    for (const struct client_command *c = client_commands; c->words != NULL; c++)
        print_command(c);
    (void)printf("%s", tail);
}
