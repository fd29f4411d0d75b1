/* The table of RPCs: each has a row, and each row a well-formed action and resource. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "node/access.h"

static void every_rpc_has_exactly_one_row(void **state)
{
    (void)state;
    const ProtobufCMessageDescriptor *of = &urd__v1__request__descriptor;
    unsigned bodies = 0, rows = 0;
    for (unsigned i = 0; i < of->n_fields; i++) {
        if ((of->fields[i].flags & PROTOBUF_C_FIELD_FLAG_ONEOF) == 0) continue;
        bodies++;
        const struct node_rpc *row = node_rpc_find((Urd__V1__Request__BodyCase)of->fields[i].id);
        if (row == NULL) fail_msg("%s has no row", of->fields[i].name);
    }
    while (node_rpc_row(rows) != NULL) {
        assert_ptr_equal(node_rpc_find(node_rpc_row(rows)->body), node_rpc_row(rows));
        rows++;
    }
    assert_int_equal(rows, bodies);
    assert_null(node_rpc_find(URD__V1__REQUEST__BODY__NOT_SET));
}

static void only_joining_needs_no_capability(void **state)
{
    (void)state;
    for (unsigned i = 0; node_rpc_row(i) != NULL; i++) {
        const struct node_rpc *row = node_rpc_row(i);
        bool open = row->body == URD__V1__REQUEST__BODY_NODE_JOIN;
        assert_int_equal(row->rule == NODE_RESOURCE_SELF, open);
        assert_int_equal(row->action == NULL, open);
        assert_int_equal(row->rule == NODE_RESOURCE_NAMED, row->resource != NULL);
        if (row->action == NULL || row->body == URD__V1__REQUEST__BODY_FILE_LOCATE) continue;
        Urd__V1__Request request = URD__V1__REQUEST__INIT;
        const char *action = row->action(&request);
        assert_true(urd_caps_name_ok(URD_CAPS_GLOB_ACTION, action, strlen(action)));
    }
}

/* The resources of @request on node "a", with '+' between. */
static const char *resources_of(const Urd__V1__Request *request)
{
    static char all[8192];
    all[0] = 0;
    const struct node_rpc *row = node_rpc_find(request->body_case);
    for (unsigned i = 0;; i++) {
        char one[NODE_RESOURCE_TEXT_MAX];
        urd_err err = row->resource(request, "a", i, one);
        if (err == URD_E_NOT_FOUND) return all;
        if (err != URD_OK) return urd_err_name(err);
        assert_true(urd_caps_name_ok(URD_CAPS_GLOB_RESOURCE, one, strlen(one)));
        if (i > 0) strcat(all, "+");
        strcat(all, one);
    }
}

static void resources_are_canonical_whatever_is_named(void **state)
{
    (void)state;
    Urd__V1__Request request = URD__V1__REQUEST__INIT;

    Urd__V1__SagaSubmit submit = URD__V1__SAGA_SUBMIT__INIT;
    submit.name = (char *)"book-trip";
    request.body_case = URD__V1__REQUEST__BODY_SAGA_SUBMIT;
    request.saga_submit = &submit;
    assert_string_equal(resources_of(&request), "saga/book-trip");
    submit.name = (char *)"a/b";
    assert_string_equal(resources_of(&request), "saga/a%2Fb");
    submit.name = (char *)"..";
    assert_string_equal(resources_of(&request), "URD_E_INVALID");

    Urd__V1__FileStat stat = URD__V1__FILE_STAT__INIT;
    request.body_case = URD__V1__REQUEST__BODY_FILE_STAT;
    request.file_stat = &stat;
    assert_string_equal(resources_of(&request), "file/a");
    stat.path = (ProtobufCBinaryData){ 8, (uint8_t *)"in/a b.x" };
    assert_string_equal(resources_of(&request), "file/a/in/a%20b.x");
    stat.path = (ProtobufCBinaryData){ 7, (uint8_t *)"in/../x" };
    assert_string_equal(resources_of(&request), "URD_E_INVALID");
    stat.path = (ProtobufCBinaryData){ 4, (uint8_t *)"/etc" };
    assert_string_equal(resources_of(&request), "URD_E_INVALID");

    Urd__V1__FileLocate locate = URD__V1__FILE_LOCATE__INIT;
    locate.node = (char *)"b";
    locate.path = (ProtobufCBinaryData){ 1, (uint8_t *)"x" };
    request.body_case = URD__V1__REQUEST__BODY_FILE_LOCATE;
    request.file_locate = &locate;
    assert_string_equal(resources_of(&request), "file/b/x");
    assert_string_equal(node_rpc_find(request.body_case)->action(&request), "file.send");
    locate.fetch = true;
    assert_string_equal(node_rpc_find(request.body_case)->action(&request), "file.fetch");

    Urd__V1__WorkerTake take = URD__V1__WORKER_TAKE__INIT;
    char *actions[] = { (char *)"hotel.hold", (char *)"hotel.release" };
    take.n_actions = 2;
    take.actions = actions;
    request.body_case = URD__V1__REQUEST__BODY_WORKER_TAKE;
    request.worker_take = &take;
    assert_string_equal(resources_of(&request), "do/hotel.hold+do/hotel.release");

    Urd__V1__NodeExpel expel = URD__V1__NODE_EXPEL__INIT;
    expel.name = (char *)"c";
    request.body_case = URD__V1__REQUEST__BODY_NODE_EXPEL;
    request.node_expel = &expel;
    assert_string_equal(resources_of(&request), "node/c");

    Urd__V1__CapMint mint = URD__V1__CAP_MINT__INIT;
    request.body_case = URD__V1__REQUEST__BODY_CAP_MINT;
    request.cap_mint = &mint;
    assert_string_equal(resources_of(&request), "cap/client");
}

static void a_request_says_which_saga_it_is_for(void **state)
{
    (void)state;
    Urd__V1__Request request = URD__V1__REQUEST__INIT;
    Urd__V1__SagaResolve resolve = URD__V1__SAGA_RESOLVE__INIT;
    resolve.id = (char *)"01J";
    resolve.step = (char *)"pay";
    request.body_case = URD__V1__REQUEST__BODY_SAGA_RESOLVE;
    request.saga_resolve = &resolve;
    const char *region = NULL, *task = NULL;
    node_rpc_find(request.body_case)->about(&request, &region, &task);
    assert_string_equal(region, "01J");
    assert_string_equal(task, "pay");

    Urd__V1__SagaSubmit submit = URD__V1__SAGA_SUBMIT__INIT;
    request.body_case = URD__V1__REQUEST__BODY_SAGA_SUBMIT;
    request.saga_submit = &submit;
    region = task = NULL;
    node_rpc_find(request.body_case)->about(&request, &region, &task);
    assert_null(region); /* no parent: a caveat about a region refuses */
    assert_null(task);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_rpc_has_exactly_one_row),
        cmocka_unit_test(only_joining_needs_no_capability),
        cmocka_unit_test(resources_are_canonical_whatever_is_named),
        cmocka_unit_test(a_request_says_which_saga_it_is_for),
    };
    return cmocka_run_group_tests_name("node/access", tests, NULL, NULL);
}
