/* The wire: what is legal goes through unchanged, what is not is refused by name, and nothing is
 * unbounded. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "node/limits_internal.h"
#include "node/protocol.h"
#include "runtime/rpc.h"

/* ---- messages made from the schema itself ---- */

static void fill(ProtobufCMessage *message);

static void fill_value(const ProtobufCMessageDescriptor *of, const ProtobufCFieldDescriptor *field,
                       void *value)
{
    struct node_limit limit = node_limit_of(of, field);
    if (field->type == PROTOBUF_C_TYPE_STRING) {
        size_t len = limit.min > 0 ? limit.min : 1;
        char *text = calloc(len + 1, 1);
        memset(text, 'a', len);
        *(char **)value = text;
    } else if (field->type == PROTOBUF_C_TYPE_BYTES) {
        ProtobufCBinaryData *data = value;
        data->len = limit.min > 0 ? limit.min : 1;
        data->data = calloc(data->len, 1);
    } else if (field->type == PROTOBUF_C_TYPE_MESSAGE) {
        const ProtobufCMessageDescriptor *inner = field->descriptor;
        ProtobufCMessage *made = calloc(1, inner->sizeof_message);
        protobuf_c_message_init(inner, made);
        fill(made);
        *(ProtobufCMessage **)value = made;
    }
}

/* Give every field that is not one of several to choose from its least legal value, lists one item.
 */
static void fill(ProtobufCMessage *message)
{
    for (unsigned i = 0; i < message->descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &message->descriptor->fields[i];
        uint8_t *at = (uint8_t *)message + field->offset;
        if ((field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0) continue;
        if (field->label != PROTOBUF_C_LABEL_REPEATED) {
            fill_value(message->descriptor, field, at);
            continue;
        }
        size_t one = 1;
        void *values = calloc(1, 64);
        fill_value(message->descriptor, field, values);
        memcpy((uint8_t *)message + field->quantifier_offset, &one, sizeof one);
        memcpy(at, &values, sizeof values);
    }
}

static ProtobufCMessage *made_with(const ProtobufCMessageDescriptor *envelope,
                                   const ProtobufCFieldDescriptor *body)
{
    ProtobufCMessage *message = calloc(1, envelope->sizeof_message);
    protobuf_c_message_init(envelope, message);
    fill(message);
    uint32_t which = body->id;
    memcpy((uint8_t *)message + body->quantifier_offset, &which, sizeof which);
    fill_value(envelope, body, (uint8_t *)message + body->offset);
    return message;
}

static Urd__V1__Request *request_with(uint32_t body)
{
    const ProtobufCFieldDescriptor *field =
        protobuf_c_message_descriptor_get_field(&urd__v1__request__descriptor, body);
    Urd__V1__Request *request = (Urd__V1__Request *)made_with(&urd__v1__request__descriptor, field);
    request->version = NODE_PROTOCOL_VERSION;
    request->hops = 0;
    return request;
}

/* ---- tests ---- */

static void every_request_survives_the_trip(void **state)
{
    (void)state;
    unsigned count = 0;
    const ProtobufCMessageDescriptor *of = &urd__v1__request__descriptor;
    for (unsigned i = 0; i < of->n_fields; i++) {
        if ((of->fields[i].flags & PROTOBUF_C_FIELD_FLAG_ONEOF) == 0) continue;
        Urd__V1__Request *request = request_with(of->fields[i].id);
        char errmsg[200] = "";
        uint8_t *bytes = NULL, *again = NULL;
        size_t bytes_len = 0, again_len = 0;
        Urd__V1__Request *back = NULL;
        if (node_request_encode(request, &bytes, &bytes_len, errmsg, sizeof errmsg) != URD_OK)
            fail_msg("%s: %s", of->fields[i].name, errmsg);
        assert_int_equal(node_request_decode(bytes, bytes_len, &back, NULL, 0), URD_OK);
        assert_int_equal(back->body_case, of->fields[i].id);
        assert_int_equal(node_request_encode(back, &again, &again_len, NULL, 0), URD_OK);
        assert_int_equal(again_len, bytes_len);
        assert_memory_equal(again, bytes, bytes_len);
        node_bytes_free(bytes, bytes_len);
        node_bytes_free(again, again_len);
        node_request_free(back);
        node_request_free(request);
        count++;
    }
    assert_true(count > 40);
}

static void every_reply_survives_the_trip(void **state)
{
    (void)state;
    const ProtobufCMessageDescriptor *of = &urd__v1__reply__descriptor;
    for (unsigned i = 0; i < of->n_fields; i++) {
        if ((of->fields[i].flags & PROTOBUF_C_FIELD_FLAG_ONEOF) == 0) continue;
        Urd__V1__Reply *reply = (Urd__V1__Reply *)made_with(of, &of->fields[i]);
        reply->version = NODE_PROTOCOL_VERSION;
        char errmsg[200] = "";
        uint8_t *bytes = NULL;
        size_t bytes_len = 0;
        Urd__V1__Reply *back = NULL;
        if (node_reply_encode(reply, &bytes, &bytes_len, errmsg, sizeof errmsg) != URD_OK)
            fail_msg("%s: %s", of->fields[i].name, errmsg);
        assert_int_equal(node_reply_decode(bytes, bytes_len, &back, NULL, 0), URD_OK);
        assert_int_equal(back->body_case, of->fields[i].id);
        node_bytes_free(bytes, bytes_len);
        node_reply_free(back);
        node_reply_free(reply);
    }
}

static void no_field_is_unbounded(const ProtobufCMessageDescriptor *of, unsigned depth)
{
    assert_true(depth < 8); /* no message contains its own kind */
    for (unsigned i = 0; i < of->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &of->fields[i];
        struct node_limit limit = node_limit_of(of, field);
        if (field->label == PROTOBUF_C_LABEL_REPEATED && limit.count_max == 0)
            fail_msg("%s.%s: a list without a limit", of->short_name, field->name);
        assert_true(limit.max > 0);
        assert_true(limit.min <= limit.max);
        if (field->type == PROTOBUF_C_TYPE_MESSAGE)
            no_field_is_unbounded(field->descriptor, depth + 1);
    }
}

static void every_list_has_a_limit_and_every_limit_a_field(void **state)
{
    (void)state;
    no_field_is_unbounded(&urd__v1__request__descriptor, 0);
    no_field_is_unbounded(&urd__v1__reply__descriptor, 0);
    assert_int_equal(node_limits_strays(), 0);
    assert_true(NODE_REQUEST_BYTES_MAX < URD_RPC_FRAME_BYTES_MAX);
    assert_true(NODE_REPLY_BYTES_MAX < URD_RPC_FRAME_BYTES_MAX);
}

static void the_largest_document_passes_and_one_byte_more_does_not(void **state)
{
    (void)state;
    Urd__V1__Request *request = request_with(URD__V1__REQUEST__BODY_SAGA_SUBMIT);
    ProtobufCBinaryData *document = &request->saga_submit->document;
    free(document->data);
    document->data = calloc(1, NODE_DOCUMENT_BYTES_MAX + 1);
    document->len = NODE_DOCUMENT_BYTES_MAX;
    assert_int_equal(node_request_check(request, NULL, 0), URD_OK);

    document->len++;
    char errmsg[200] = "";
    assert_int_equal(node_request_check(request, errmsg, sizeof errmsg), URD_E_TOO_BIG);
    assert_string_equal(errmsg, "SagaSubmit.document: too long");
    node_request_free(request);
}

static void a_list_one_longer_than_its_limit_is_refused(void **state)
{
    (void)state;
    Urd__V1__Request *request = request_with(URD__V1__REQUEST__BODY_WORKER_TAKE);
    char *action = request->worker_take->actions[0];
    char **actions = calloc(NODE_ACTIONS_MAX + 1, sizeof *actions);
    for (unsigned i = 0; i <= NODE_ACTIONS_MAX; i++)
        actions[i] = strdup("hotel.hold");
    free(action);
    free(request->worker_take->actions);
    request->worker_take->actions = actions;
    request->worker_take->n_actions = NODE_ACTIONS_MAX;
    assert_int_equal(node_request_check(request, NULL, 0), URD_OK);
    request->worker_take->n_actions++;
    assert_int_equal(node_request_check(request, NULL, 0), URD_E_TOO_BIG);
    node_request_free(request);
}

static void what_is_missing_or_misshapen_is_named(void **state)
{
    (void)state;
    char errmsg[200] = "";
    Urd__V1__Request *request = request_with(URD__V1__REQUEST__BODY_SAGA_SIGNAL);

    size_t id_len = request->request_id.len;
    request->request_id.len = 8;
    assert_int_equal(node_request_check(request, errmsg, sizeof errmsg), URD_E_INVALID);
    assert_string_equal(errmsg, "Request.request_id: too short");
    request->request_id.len = id_len;

    char *name = request->saga_signal->name;
    const char *const bad[] = { "\xff",  "a\xc0\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80",
                                "a\x01", "\xe2\x82" };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        request->saga_signal->name = (char *)bad[i];
        assert_int_equal(node_request_check(request, errmsg, sizeof errmsg), URD_E_INVALID);
        assert_string_equal(errmsg, "SagaSignal.name: not UTF-8 text");
    }
    request->saga_signal->name = (char *)"Ur\xc3\xb0"
                                         "arbrunnr";
    assert_int_equal(node_request_check(request, NULL, 0), URD_OK);
    request->saga_signal->name = name;

    request->version = 2;
    assert_int_equal(node_request_check(request, NULL, 0), URD_E_VERSION);
    request->version = 1;
    request->hops = NODE_HOPS_MAX + 1;
    assert_int_equal(node_request_check(request, NULL, 0), URD_E_INVALID);
    node_request_free(request);

    request = request_with(URD__V1__REQUEST__BODY_SAGA_RESOLVE);
    request->saga_resolve->resolution = (Urd__V1__SagaResolution)7;
    assert_int_equal(node_request_check(request, errmsg, sizeof errmsg), URD_E_INVALID);
    assert_string_equal(errmsg, "SagaResolve.resolution: no such value");
    node_request_free(request);
}

static void a_request_of_a_newer_protocol_is_unsupported_not_malformed(void **state)
{
    (void)state;
    /* version 1, a request id, and field 9999, which this build has never heard of */
    const uint8_t bytes[] = { 0x08, 0x01, 0x12, 0x10, 1,  2,  3,  4,  5,    6,    7,    8,
                              9,    10,   11,   12,   13, 14, 15, 16, 0xfa, 0xf0, 0x04, 0x00 };
    Urd__V1__Request *request = NULL;
    assert_int_equal(node_request_decode(bytes, sizeof bytes, &request, NULL, 0),
                     URD_E_UNSUPPORTED);
    assert_null(request);
}

static void a_frame_of_a_million_empty_parts_is_refused_before_it_eats_the_memory(void **state)
{
    (void)state;
    /* Request.context (field 5), empty, over and over: two bytes each, fifty in memory */
    size_t bytes_len = 2u << 20;
    uint8_t *bytes = malloc(bytes_len);
    for (size_t i = 0; i < bytes_len; i += 2) {
        bytes[i] = 0x2a;
        bytes[i + 1] = 0;
    }
    Urd__V1__Request *request = NULL;
    assert_int_equal(node_request_decode(bytes, bytes_len, &request, NULL, 0), URD_E_TOO_BIG);
    free(bytes);
}

static void a_reply_gives_back_code_and_sentence(void **state)
{
    (void)state;
    Urd__V1__Reply reply = URD__V1__REPLY__INIT;
    Urd__V1__Error error = URD__V1__ERROR__INIT;
    char errmsg[100] = "";
    reply.version = NODE_PROTOCOL_VERSION;
    assert_int_equal(node_reply_check(&reply, NULL, 0), URD_E_INVALID); /* says nothing */
    reply.error = &error;
    error.code = (char *)"URD_E_DENIED";
    error.message = (char *)"action saga.submit is not allowed";
    assert_int_equal(node_reply_check(&reply, NULL, 0), URD_OK);
    assert_int_equal(node_reply_result(&reply, errmsg, sizeof errmsg), URD_E_DENIED);
    assert_string_equal(errmsg, "action saga.submit is not allowed");
    error.code = (char *)"URD_E_FROM_THE_FUTURE";
    assert_int_equal(node_reply_result(&reply, errmsg, sizeof errmsg), URD_E_VERSION);
    error.code = (char *)"URD_OK"; /* an error that says all is well is none of ours */
    assert_int_equal(node_reply_result(&reply, errmsg, sizeof errmsg), URD_E_VERSION);
}

static void text_is_cleaned_without_cutting_a_character(void **state)
{
    (void)state;
    char text[] = "a\xff"
                  "b\x1b[31m\n\xc3\xb0";
    node_text_clean(text, 100);
    assert_string_equal(text, "a?b?[31m\n\xc3\xb0");
    char cut[] = "ab\xc3\xb0";
    node_text_clean(cut, 3);
    assert_string_equal(cut, "ab");
}

static void only_clean_relative_paths_are_paths(void **state)
{
    (void)state;
    const char *const good[] = { "", "a", "a/b.bin", "..a/b..", "a b/\xff" };
    const char *const bad[] = { "/", "/a", "a/", "a//b", ".", "..", "a/../b", "a/." };
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        assert_true(node_path_ok((const uint8_t *)good[i], strlen(good[i])));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(node_path_ok((const uint8_t *)bad[i], strlen(bad[i])));
    assert_false(node_path_ok((const uint8_t *)"a\0b", 3));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_request_survives_the_trip),
        cmocka_unit_test(every_reply_survives_the_trip),
        cmocka_unit_test(every_list_has_a_limit_and_every_limit_a_field),
        cmocka_unit_test(the_largest_document_passes_and_one_byte_more_does_not),
        cmocka_unit_test(a_list_one_longer_than_its_limit_is_refused),
        cmocka_unit_test(what_is_missing_or_misshapen_is_named),
        cmocka_unit_test(a_request_of_a_newer_protocol_is_unsupported_not_malformed),
        cmocka_unit_test(a_frame_of_a_million_empty_parts_is_refused_before_it_eats_the_memory),
        cmocka_unit_test(a_reply_gives_back_code_and_sentence),
        cmocka_unit_test(text_is_cleaned_without_cutting_a_character),
        cmocka_unit_test(only_clean_relative_paths_are_paths),
    };
    return cmocka_run_group_tests_name("node/protocol", tests, NULL, NULL);
}
