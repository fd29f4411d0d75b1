/* urd.conf: every key is known, documented and bounded; a slip stops the start with a sentence. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "node/config.h"

#define LEAST "[node]\nname = a\n[rpc]\nlisten = 127.0.0.1:7000\n[data]\nlisten = 127.0.0.1:7001\n"

static urd_err parse(const char *text, struct node_config *ret, char why[static 256])
{
    why[0] = 0;
    return node_config_parse(text, strlen(text), ret, why, 256);
}

static void refused(const char *text, const char *sentence)
{
    struct node_config *config = malloc(sizeof *config);
    memset(config, 0x5a, sizeof *config);
    char why[256];
    assert_int_equal(parse(text, config, why), URD_E_CONFIG);
    if (strstr(why, sentence) == NULL) fail_msg("`%s` does not say `%s`", why, sentence);
    assert_int_equal(config->name[0], 0x5a); /* nothing written */
    free(config);
}

static void what_is_left_out_has_its_default(void **state)
{
    (void)state;
    struct node_config *config = malloc(sizeof *config);
    char why[256];
    assert_int_equal(parse(LEAST, config, why), URD_OK);
    assert_string_equal(config->name, "a");
    assert_string_equal(config->cluster, "urd");
    assert_int_equal(config->rpc_inflight, 1024);
    assert_int_equal(config->peer_heartbeat_ns, 500000000);
    assert_int_equal(config->store_size_bytes, UINT64_C(64) << 30);
    assert_int_equal(config->caps_expires_default_ns, UINT64_C(86400000000000));
    assert_int_equal(config->http_allow_count, 0);
    assert_false(config->rpc_plain);
    free(config);
}

static void the_example_shows_every_key_with_its_default(void **state)
{
    (void)state;
    FILE *file = fopen("deploy/conf/urd.conf", "r");
    assert_non_null(file);
    static char text[NODE_CONFIG_BYTES_MAX];
    size_t text_len = fread(text, 1, sizeof text - 1, file);
    (void)fclose(file);
    text[text_len] = 0;

    struct node_config *example = malloc(sizeof *example), *least = malloc(sizeof *least);
    char why[256];
    if (node_config_parse(text, text_len, example, why, sizeof why) != URD_OK) fail_msg("%s", why);
    assert_int_equal(parse(LEAST, least, why), URD_OK);
    assert_memory_equal(example, least, sizeof *least);

    struct node_config_key key;
    for (unsigned i = 0; node_config_key(i, &key); i++) {
        char line[300];
        (void)snprintf(line, sizeof line, "\n%s =", strchr(key.name, '.') + 1);
        if (strstr(text, line) == NULL) fail_msg("%s is not in the example", key.name);
        assert_true(strlen(key.meaning) > 10);
    }
    free(example);
    free(least);
}

static void what_is_written_reads_back(void **state)
{
    (void)state;
    struct node_config *first = malloc(sizeof *first), *second = malloc(sizeof *second);
    char why[256], *text = NULL;
    const char *all =
        LEAST "[http]\nlisten = 127.0.0.1:7002\nallow = api.example.com, pay.example\n"
              "[caps]\ncontext = tenant, site\n[saga]\nretention = 90m\n[store]\nsize = 1536MiB\n"
              "[peers]\nb = tls+tcp://10.0.0.2:7000\nc = tls+tcp://[fe80::1]:7\n";
    if (parse(all, first, why) != URD_OK) fail_msg("%s", why);
    assert_int_equal(first->http_allow_count, 2);
    assert_int_equal(first->peer_count, 2);
    assert_int_equal(node_config_format(first, &text), URD_OK);
    if (parse(text, second, why) != URD_OK) fail_msg("%s in %s", why, text);
    assert_memory_equal(first, second, sizeof *first);
    free(text);
    free(first);
    free(second);
}

static void a_slip_stops_the_start_with_a_sentence(void **state)
{
    (void)state;
    refused(LEAST "[rpc]\nlisen = 1.2.3.4:5\n", "line 8: unknown key `lisen` in section [rpc]");
    refused(LEAST "[data]\nlisten = 127.0.0.1:7009\n", "data.listen stands twice");
    refused("[rpc]\nlisten = 127.0.0.1:1\n", "node.name is missing");
    refused(LEAST "[saga]\nretention = 7 days\n", "saga.retention: `7 days` is not a number");
    refused(LEAST "[saga]\nretention = 18446744073709551616s\n", "not a number");
    refused(LEAST "[saga]\nretention = 99999999999999999d\n", "not a number");
    refused(LEAST "[runtime]\nworkers = 65\n", "out of bounds");
    refused(LEAST "nonsense\n", "line 7: neither");
    refused(LEAST "[node]\ncluster = a b\n", "node.cluster: `a b` is not a name");
    refused(LEAST "[http]\nallow = http://x\n", "http.allow: `http://x` is not a host");
    refused(LEAST "[caps]\ncontext = node\n", "caps.context: `node` is not a name");
    refused(LEAST "[http]\nlisten = 0.0.0.0:80\n", "loopback only");
    refused(
        "[node]\nname=a\n[data]\nlisten=127.0.0.1:1\n[rpc]\nplain = yes\nlisten = 0.0.0.0:7000\n",
        "rpc.plain = yes is allowed on the loopback only");
    refused(LEAST "[peers]\na = tls+tcp://10.0.0.1:7000\n", "is this node itself");
    refused(LEAST "[peers]\nb = tcp://10.0.0.1:7000\n", "a peer's URL is tls+tcp://ADDR:PORT");
    refused(LEAST "[caps]\nexpires_default = 40d\n", "longer than caps.expires_max");

    char longline[400] = LEAST "# ";
    memset(longline + strlen(longline), 'x', 200);
    refused(longline, "line 7 is longer than");
}

static void a_nul_is_not_the_end_of_the_file(void **state)
{
    (void)state;
    char text[] = LEAST "#\0\nbad = 1\n";
    struct node_config *config = malloc(sizeof *config);
    char why[256] = "";
    assert_int_equal(node_config_parse(text, sizeof text - 1, config, why, sizeof why),
                     URD_E_CONFIG);
    assert_string_equal(why, "line 7: a NUL byte");
    free(config);
}

static void only_the_loopback_is_the_loopback(void **state)
{
    (void)state;
    assert_true(node_address_is_loopback("127.0.0.1:7000"));
    assert_true(node_address_is_loopback("127.9.8.7:0"));
    assert_true(node_address_is_loopback("[::1]:7000"));
    assert_true(node_address_is_loopback("localhost:7000"));
    assert_false(node_address_is_loopback("0.0.0.0:7000"));
    assert_false(node_address_is_loopback("127.evil.example:7000"));
    assert_false(node_address_is_loopback("localhost.example:7000"));
    assert_false(node_address_is_loopback("10.0.0.1:7000"));
    assert_false(node_address_ok("127.0.0.1"));
    assert_false(node_address_ok("127.0.0.1:65536"));
    assert_false(node_address_ok("::1:7000"));
    assert_false(node_address_ok(":7000"));
    assert_false(node_address_ok("a b:7000"));
    assert_true(node_address_ok("node-a.example:7000"));
    assert_true(node_url_ok("tls+tcp://node-a.example:7000"));
    assert_true(node_url_ok("tcp://127.0.0.1:7000"));
    assert_false(node_url_ok("tcp://192.168.0.1:7000"));
    assert_false(node_url_ok("http://127.0.0.1:7000"));

    char address[32] = "127.0.0.1:0";
    assert_int_equal(node_address_set_port(address, sizeof address, 40123), URD_OK);
    assert_string_equal(address, "127.0.0.1:40123");
    assert_int_equal(node_address_port(address), 40123);
}

static void quantities_are_names_with_amounts(void **state)
{
    (void)state;
    static const char good[] =
        "[node]\nname = a\n[rpc]\nlisten = 127.0.0.1:1\n[data]\nlisten = 127.0.0.1:2\n"
        "[quantities]\nseats = 100\nrooms = 0\n";
    static const char *const bad[] = { "seats = -1\n", "seats = many\n", "seats =\n",
                                       "seats = 1\nseats = 2\n",
                                       "seats = 99999999999999999999999\n" };
    struct node_config config;
    char why[256];
    node_config_default(&config);
    assert_int_equal(node_config_parse(good, strlen(good), &config, why, sizeof why), URD_OK);
    assert_int_equal(config.quantity_count, 2);
    assert_string_equal(config.quantities[0].name, "seats");
    assert_int_equal(config.quantities[0].amount, 100);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char text[512];
        (void)snprintf(text, sizeof text, "%.*s%s", (int)(strstr(good, "seats") - good), good,
                       bad[i]);
        node_config_default(&config);
        assert_int_equal(node_config_parse(text, strlen(text), &config, why, sizeof why),
                         URD_E_CONFIG);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quantities_are_names_with_amounts),
        cmocka_unit_test(what_is_left_out_has_its_default),
        cmocka_unit_test(the_example_shows_every_key_with_its_default),
        cmocka_unit_test(what_is_written_reads_back),
        cmocka_unit_test(a_slip_stops_the_start_with_a_sentence),
        cmocka_unit_test(a_nul_is_not_the_end_of_the_file),
        cmocka_unit_test(only_the_loopback_is_the_loopback),
    };
    return cmocka_run_group_tests_name("node/config", tests, NULL, NULL);
}
