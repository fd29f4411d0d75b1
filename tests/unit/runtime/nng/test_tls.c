/* Who may be spoken to over TLS: the node of that name, vouched for by that authority. */
#include "tests/unit/runtime/nng/certificates.h"
#include "tests/unit/runtime/nng/service.h"

static void check_reaches(struct urd_cx *cx, const struct service *service, const char *ca_pem,
                          const char *server_name, urd_err expected)
{
    struct urd_rpc_client *client = dialled(cx, service, ca_pem, server_name);
    CHECK_ERR(call(cx, client, "echo:secret", 3000 * MS), expected);
    CHECK(urd_rpc_client_connected(client) == (expected == URD_OK));
    urd_rpc_client_close(cx, client);
}

static void names_steps(struct urd_cx *cx, struct service *service)
{
    check_reaches(cx, service, ca_one, "a", URD_OK);
    check_reaches(cx, service, ca_one, "b", URD_E_UNREACHABLE);
    check_reaches(cx, service, ca_one, "127.0.0.1", URD_E_UNREACHABLE);
    check_reaches(cx, service, ca_two, "a", URD_E_UNREACHABLE);
    check_reaches(cx, service, ca_one, "a", URD_OK); /* the refused ones have harmed nobody */
    CHECK(atomic_load(&service->handled) == 2);
}

static urd_err names_body(struct urd_cx *cx, void *arg)
{
    (void)arg;
    struct service service = { 0 };
    listen_on(cx, &service, 0, cert_one, key_one);
    while_serving(cx, &service, names_steps);
    return URD_OK;
}

static void a_wrong_name_or_a_foreign_authority_is_refused(void **state)
{
    (void)state;
    run_with_rpc(names_body, NULL);
}

static void load_steps(struct urd_cx *cx, struct service *service)
{
    enum { CALLS = 200 };
    struct urd_rpc_client *client = dialled(cx, service, ca_one, "a");
    struct caller *callers = calloc(CALLS, sizeof *callers);
    URD_REGION(r);
    CHECK(urd_region_open(cx, NULL, r));
    for (int i = 0; i < CALLS; i++) {
        callers[i] = (struct caller){ .client = client, .within_ns = FAR };
        snprintf(callers[i].text, sizeof callers[i].text, "sleep:%d:%d", 1 + i % 7, i);
        CHECK_OK(urd_spawn(cx, urd_region_scope(r), NULL, call_task, &callers[i]));
    }
    struct urd_outcome outcome;
    urd_region_join(cx, r, &outcome);
    CHECK(outcome.kind == URD_OUTCOME_OK);
    free(callers);

    size_t len = 4u << 20;
    uint8_t *request = malloc(len);
    for (size_t i = 0; i < len; i++)
        request[i] = (uint8_t)(i * 31 >> 5);
    struct urd_buffer reply;
    CHECK_OK(urd_rpc_call(cx, client, request, len, urd_cx_now(cx) + FAR, &reply));
    CHECK(reply.len == len && memcmp(reply.bytes, request, len) == 0);
    urd_buffer_done(&reply);
    free(request);
    urd_rpc_client_close(cx, client);
}

static urd_err load_body(struct urd_cx *cx, void *arg)
{
    (void)arg;
    struct service service = { .inflight_max = 100 };
    listen_on(cx, &service, 0, cert_one, key_one);
    while_serving(cx, &service, load_steps);
    return URD_OK;
}

static void many_calls_and_long_ones_go_over_tls(void **state)
{
    (void)state;
    run_with_rpc(load_body, NULL);
}

static void rotate_steps(struct urd_cx *cx, struct service *service)
{
    struct urd_rpc_client *old = dialled(cx, service, ca_one, "a");
    CHECK_OK(call(cx, old, "echo:before", FAR));
    check_reaches(cx, service, ca_two, "a", URD_E_UNREACHABLE);

    CHECK_ERR(urd_rpc_server_rotate(cx, service->server, "no certificate", key_two), URD_E_CONFIG);
    check_reaches(cx, service, ca_one, "a", URD_OK);

    for (int i = 0; i < 3; i++) { /* the very next connection gets the new certificate, each time */
        CHECK_OK(urd_rpc_server_rotate(cx, service->server, cert_two, key_two));
        check_reaches(cx, service, ca_two, "a", URD_OK);
        CHECK_OK(urd_rpc_server_rotate(cx, service->server, cert_one, key_one));
        check_reaches(cx, service, ca_one, "a", URD_OK);
    }
    CHECK_OK(urd_rpc_server_rotate(cx, service->server, cert_two, key_two));
    check_reaches(cx, service, ca_one, "a", URD_E_UNREACHABLE);
    CHECK_OK(call(cx, old, "echo:after", FAR)); /* what was connected stays so */
    urd_rpc_client_close(cx, old);
}

static urd_err rotate_body(struct urd_cx *cx, void *arg)
{
    (void)arg;
    struct service service = { 0 };
    listen_on(cx, &service, 0, cert_one, key_one);
    while_serving(cx, &service, rotate_steps);
    return URD_OK;
}

static void a_rotated_certificate_is_shown_to_the_next_who_dials(void **state)
{
    (void)state;
    run_with_rpc(rotate_body, NULL);
}

static urd_err config_body(struct urd_cx *cx, void *arg)
{
    (void)arg;
    const char *url = "tls+tcp://127.0.0.1:0";
    const struct urd_rpc_endpoint dial[] = {
        { .url = url },
        { .url = url, .ca_pem = ca_one },
        { .url = url, .ca_pem = ca_one, .server_name = "" },
        { .url = url, .server_name = "a" },
        { .url = url, .server_name = "a", .ca_pem = "" },
        { .url = url, .server_name = "a", .ca_pem = "no certificate" },
        { .url = url, .server_name = "a", .ca_pem = key_one },
    };
    const struct urd_rpc_endpoint listen[] = {
        { .url = url },
        { .url = url, .cert_pem = cert_one },
        { .url = url, .key_pem = key_one },
        { .url = url, .cert_pem = cert_one, .key_pem = "no key" },
        { .url = url, .cert_pem = "no certificate", .key_pem = key_one },
        { .url = "tls+tcp://", .cert_pem = cert_one, .key_pem = key_one },
        { .url = "tls+tcp://127.0.0.1:x", .cert_pem = cert_one, .key_pem = key_one },
    };
    for (size_t i = 0; i < sizeof dial / sizeof *dial; i++) {
        struct urd_rpc_client *client = NULL;
        CHECK_ERR(urd_rpc_dial(cx, &dial[i], &client), URD_E_CONFIG);
        CHECK(client == NULL);
    }
    for (size_t i = 0; i < sizeof listen / sizeof *listen; i++) {
        struct urd_rpc_server *server = NULL;
        CHECK_ERR(urd_rpc_listen(cx, &listen[i], NULL, &server), URD_E_CONFIG);
        CHECK(server == NULL);
    }
    return URD_OK;
}

static void nothing_is_dialled_without_name_and_authority(void **state)
{
    (void)state;
    run_with_rpc(config_body, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_wrong_name_or_a_foreign_authority_is_refused),
        cmocka_unit_test(many_calls_and_long_ones_go_over_tls),
        cmocka_unit_test(a_rotated_certificate_is_shown_to_the_next_who_dials),
        cmocka_unit_test(nothing_is_dialled_without_name_and_authority),
    };
    return cmocka_run_group_tests_name("runtime/nng/tls", tests, NULL, NULL);
}
