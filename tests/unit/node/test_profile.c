/* A client profile: what is written reads back, what is not one is refused by line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "node/profile.h"

static void refused(const char *text, const char *sentence)
{
    struct node_place place;
    char why[200] = "";
    assert_int_equal(node_profile_parse(text, strlen(text), &place, why, sizeof why),
                     URD_E_INVALID);
    if (strstr(why, sentence) == NULL) fail_msg("`%s` does not say `%s`", why, sentence);
}

static void a_profile_reads_back(void **state)
{
    (void)state;
    struct node_place place = { .cluster = "urd",
                                .nodes = { { "a", "tls+tcp://10.0.0.1:7000" },
                                           { "b", "tls+tcp://[fe80::1]:7000" } },
                                .nodes_count = 2,
                                .ca_pem = (char *)"-----BEGIN CERTIFICATE-----\nAAAA\n",
                                .cap = (char *)"AgEBx" };
    struct node_place back;
    char *text;
    assert_int_equal(node_profile_format(&place, &text), URD_OK);
    assert_int_equal(node_profile_parse(text, strlen(text), &back, NULL, 0), URD_OK);
    assert_string_equal(back.cluster, "urd");
    assert_int_equal(back.nodes_count, 2);
    assert_string_equal(back.nodes[1].name, "b");
    assert_string_equal(back.nodes[1].url, "tls+tcp://[fe80::1]:7000");
    assert_string_equal(back.ca_pem, place.ca_pem);
    assert_string_equal(back.cap, "AgEBx");
    node_place_done(&back);
    free(text);
}

static void what_is_no_profile_is_refused_by_line(void **state)
{
    (void)state;
    refused("", "names no node");
    refused("node = a=tls+tcp://h:1\n", "line 1: not a line of a profile");
    refused("[profile]\nnode = a\n", "line 2: a node is NAME=tls+tcp://ADDR:PORT");
    refused("[profile]\nnode = a=tcp://10.0.0.1:7\n", "line 2: a node is");
    refused("[profile]\ncap = x\ncap = y\n", "line 3: a second capability");
    refused("[profile]\nnod = a=tls+tcp://h:1\n", "line 2: an unknown key");
    refused("[profile]\nwhat\n", "line 2: not a line");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_profile_reads_back),
        cmocka_unit_test(what_is_no_profile_is_refused_by_line),
    };
    return cmocka_run_group_tests_name("node/profile", tests, NULL, NULL);
}
