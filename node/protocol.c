/* How bytes become a message:
 *
 *     bytes -> length -> unpack (memory bounded) -> every field against its limits -> message
 *
 * and back: fields against limits -> packed size -> bytes.  The walk over the fields follows
 * protobuf-c's descriptors, so a field added to the schema is held to the defaults at once. */
#include "node/protocol.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/limits_internal.h"

/* ---- memory while unpacking ---- */

/* A list of empty messages takes some fifty times its bytes; beyond this the frame is hostile. */
#define UNPACK_BYTES_FLAT (4u << 20)

struct unpack_memory {
    size_t left;
    bool spent;
};

static void *unpack_alloc(void *arg, size_t size)
{
    struct unpack_memory *memory = arg;
    if (size > memory->left) {
        memory->spent = true;
        return NULL;
    }
    memory->left -= size;
    return malloc(size > 0 ? size : 1);
}

static void unpack_free(void *arg, void *bytes)
{
    (void)arg;
    free(bytes);
}

/* ---- text ---- */

static void say(char *errmsg, size_t errmsg_len, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static void say(char *errmsg, size_t errmsg_len, const char *format, ...)
{
    if (errmsg == NULL || errmsg_len == 0) return;
    va_list args;
    va_start(args, format);
    (void)vsnprintf(errmsg, errmsg_len, format, args);
    va_end(args);
}

/* Bytes of the well-formed UTF-8 character at @s, 0 when it is none (RFC 3629 section 4) or a
 * control byte other than tab and newline.  @s is NUL-terminated, which no sequence contains. */
static size_t character_len(const unsigned char *s)
{
    if (s[0] < 0x80) return (s[0] >= 0x20 && s[0] != 0x7f) || s[0] == '\t' || s[0] == '\n' ? 1 : 0;
    unsigned low = 0x80, high = 0xbf;
    size_t len;
    if (s[0] >= 0xc2 && s[0] <= 0xdf) {
        len = 2;
    } else if ((s[0] & 0xf0) == 0xe0) {
        len = 3;
        if (s[0] == 0xe0) low = 0xa0;
        if (s[0] == 0xed) high = 0x9f;
    } else if (s[0] >= 0xf0 && s[0] <= 0xf4) {
        len = 4;
        if (s[0] == 0xf0) low = 0x90;
        if (s[0] == 0xf4) high = 0x8f;
    } else {
        return 0;
    }
    if (s[1] < low || s[1] > high) return 0;
    for (size_t i = 2; i < len; i++)
        if ((s[i] & 0xc0) != 0x80) return 0;
    return len;
}

static bool text_ok(const char *text)
{
    const unsigned char *s = (const unsigned char *)text;
    while (*s != 0) {
        size_t len = character_len(s);
        if (len == 0) return false;
        s += len;
    }
    return true;
}

void node_text_clean(char *text, size_t bytes_max)
{
    size_t at = 0;
    while (text[at] != 0) {
        size_t len = character_len((const unsigned char *)text + at);
        if (len == 0) {
            text[at] = '?';
            len = 1;
        }
        if (at + len > bytes_max) break;
        at += len;
    }
    text[at] = 0;
}

bool node_path_ok(const uint8_t *path, size_t path_len)
{
    if (path_len == 0) return true;
    if (path_len > NODE_PATH_BYTES_MAX || memchr(path, 0, path_len) != NULL) return false;
    size_t from = 0;
    for (;;) {
        const uint8_t *slash = memchr(path + from, '/', path_len - from);
        size_t to = slash != NULL ? (size_t)(slash - path) : path_len;
        size_t len = to - from;
        if (len == 0 || len > 255) return false;
        if (path[from] == '.' && (len == 1 || (len == 2 && path[from + 1] == '.'))) return false;
        if (slash == NULL) return true;
        from = to + 1;
    }
}

/* ---- limits ---- */

struct judge {
    char *errmsg;
    size_t errmsg_len;
};

static urd_err refuse(const struct judge *judge, urd_err err,
                      const ProtobufCMessageDescriptor *message,
                      const ProtobufCFieldDescriptor *field, const char *what)
{
    say(judge->errmsg, judge->errmsg_len, "%s.%s: %s", message->short_name, field->name, what);
    return err;
}

static urd_err check_len(const struct judge *judge, const ProtobufCMessageDescriptor *message,
                         const ProtobufCFieldDescriptor *field, const struct node_limit *limit,
                         size_t len)
{
    if (len > limit->max) return refuse(judge, URD_E_TOO_BIG, message, field, "too long");
    if (len < limit->min && !(len == 0 && limit->may_be_empty))
        return refuse(judge, URD_E_INVALID, message, field, len == 0 ? "missing" : "too short");
    return URD_OK;
}

static urd_err check_message(const struct judge *judge, const ProtobufCMessage *message);

/* One value of @field, at @value. */
static urd_err check_value(const struct judge *judge, const ProtobufCMessageDescriptor *message,
                           const ProtobufCFieldDescriptor *field, const struct node_limit *limit,
                           const void *value)
{
    switch (field->type) {
    case PROTOBUF_C_TYPE_STRING: {
        const char *text = *(const char *const *)value;
        if (text == NULL) text = "";
        urd_err err = check_len(judge, message, field, limit, strlen(text));
        if (err != URD_OK) return err;
        if (!text_ok(text)) return refuse(judge, URD_E_INVALID, message, field, "not UTF-8 text");
        return URD_OK;
    }
    case PROTOBUF_C_TYPE_BYTES:
        return check_len(judge, message, field, limit, ((const ProtobufCBinaryData *)value)->len);
    case PROTOBUF_C_TYPE_ENUM:
        if (protobuf_c_enum_descriptor_get_value(field->descriptor, *(const int *)value) == NULL)
            return refuse(judge, URD_E_INVALID, message, field, "no such value");
        return URD_OK;
    case PROTOBUF_C_TYPE_MESSAGE: {
        const ProtobufCMessage *inner = *(const ProtobufCMessage *const *)value;
        if (inner == NULL) {
            if (limit->min > 0) return refuse(judge, URD_E_INVALID, message, field, "missing");
            return URD_OK;
        }
        return check_message(judge, inner);
    }
    default:
        return URD_OK;
    }
}

static size_t value_size(const ProtobufCFieldDescriptor *field)
{
    switch (field->type) {
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_MESSAGE:
        return sizeof(void *);
    case PROTOBUF_C_TYPE_BYTES:
        return sizeof(ProtobufCBinaryData);
    case PROTOBUF_C_TYPE_ENUM:
        return sizeof(int);
    default:
        return 0; /* numbers are not looked at */
    }
}

static urd_err check_field(const struct judge *judge, const ProtobufCMessage *message,
                           const ProtobufCFieldDescriptor *field)
{
    const ProtobufCMessageDescriptor *descriptor = message->descriptor;
    const uint8_t *base = (const uint8_t *)message;
    bool repeated = field->label == PROTOBUF_C_LABEL_REPEATED;
    bool chosen = (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0;
    if (chosen) {
        uint32_t which;
        memcpy(&which, base + field->quantifier_offset, sizeof which);
        if (which != field->id) return URD_OK;
    }
    size_t size = value_size(field);
    if (size == 0 && !repeated) return URD_OK;

    struct node_limit limit = node_limit_of(descriptor, field);
    if (!repeated) {
        if (chosen && field->type == PROTOBUF_C_TYPE_MESSAGE) limit.min = 1; /* so it is there */
        return check_value(judge, descriptor, field, &limit, base + field->offset);
    }

    size_t count;
    memcpy(&count, base + field->quantifier_offset, sizeof count);
    if (count > limit.count_max) return refuse(judge, URD_E_TOO_BIG, descriptor, field, "too many");
    if (count < limit.count_min) return refuse(judge, URD_E_INVALID, descriptor, field, "missing");
    const uint8_t *values;
    memcpy(&values, base + field->offset, sizeof values);
    for (size_t i = 0; i < count && size > 0; i++) {
        urd_err err = check_value(judge, descriptor, field, &limit, values + i * size);
        if (err != URD_OK) return err;
    }
    return URD_OK;
}

/* Depth is the schema's: no message contains its own kind. */
static urd_err check_message(const struct judge *judge, const ProtobufCMessage *message)
{
    const ProtobufCMessageDescriptor *descriptor = message->descriptor;
    for (unsigned i = 0; i < descriptor->n_fields; i++) {
        urd_err err = check_field(judge, message, &descriptor->fields[i]);
        if (err != URD_OK) return err;
    }
    return URD_OK;
}

static urd_err check_envelope(const struct judge *judge, const ProtobufCMessage *message,
                              uint32_t version, size_t bytes_max)
{
    if (version != NODE_PROTOCOL_VERSION) {
        say(judge->errmsg, judge->errmsg_len,
            "protocol version %u is not understood here; this is version %u", version,
            NODE_PROTOCOL_VERSION);
        return URD_E_VERSION;
    }
    urd_err err = check_message(judge, message);
    if (err != URD_OK) return err;
    size_t size = protobuf_c_message_get_packed_size(message);
    if (size > bytes_max) {
        say(judge->errmsg, judge->errmsg_len, "message of %zu bytes; at most %zu go through", size,
            bytes_max);
        return URD_E_TOO_BIG;
    }
    return URD_OK;
}

urd_err node_request_check(const Urd__V1__Request *request, char *errmsg, size_t errmsg_len)
{
    const struct judge judge = { errmsg, errmsg_len };
    urd_err err = check_envelope(&judge, &request->base, request->version, NODE_REQUEST_BYTES_MAX);
    if (err != URD_OK) return err;
    if (request->body_case == URD__V1__REQUEST__BODY__NOT_SET) {
        say(errmsg, errmsg_len, "a request that this version of the protocol does not have");
        return URD_E_UNSUPPORTED;
    }
    if (request->hops > NODE_HOPS_MAX) {
        say(errmsg, errmsg_len, "passed on too often");
        return URD_E_INVALID;
    }
    return URD_OK;
}

urd_err node_reply_check(const Urd__V1__Reply *reply, char *errmsg, size_t errmsg_len)
{
    const struct judge judge = { errmsg, errmsg_len };
    urd_err err = check_envelope(&judge, &reply->base, reply->version, NODE_REPLY_BYTES_MAX);
    if (err != URD_OK) return err;
    if (reply->error == NULL && reply->body_case == URD__V1__REPLY__BODY__NOT_SET) {
        say(errmsg, errmsg_len, "a reply without an answer");
        return URD_E_INVALID;
    }
    return URD_OK;
}

/* ---- both ways ---- */

static urd_err encode(const ProtobufCMessage *message, uint8_t **ret_bytes, size_t *ret_bytes_len)
{
    size_t size = protobuf_c_message_get_packed_size(message);
    uint8_t *bytes = malloc(size);
    if (bytes == NULL) return URD_E_NOMEM;
    size_t written = protobuf_c_message_pack(message, bytes);
    assert(written == size);
    *ret_bytes = bytes;
    *ret_bytes_len = size;
    return URD_OK;
}

urd_err node_request_encode(const Urd__V1__Request *request, uint8_t **ret_bytes,
                            size_t *ret_bytes_len, char *errmsg, size_t errmsg_len)
{
    urd_err err = node_request_check(request, errmsg, errmsg_len);
    if (err != URD_OK) return err;
    return encode(&request->base, ret_bytes, ret_bytes_len);
}

urd_err node_reply_encode(const Urd__V1__Reply *reply, uint8_t **ret_bytes, size_t *ret_bytes_len,
                          char *errmsg, size_t errmsg_len)
{
    urd_err err = node_reply_check(reply, errmsg, errmsg_len);
    if (err != URD_OK) return err;
    return encode(&reply->base, ret_bytes, ret_bytes_len);
}

void node_bytes_free(uint8_t *bytes, size_t bytes_len)
{
    if (bytes == NULL) return;
    explicit_bzero(bytes, bytes_len);
    free(bytes);
}

/* Call @visit with each value that stands in @message itself, chosen and repeated ones included. */
static void each_value(ProtobufCMessage *message,
                       void (*visit)(const ProtobufCFieldDescriptor *field, void *value))
{
    uint8_t *base = (uint8_t *)message;
    for (unsigned i = 0; i < message->descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &message->descriptor->fields[i];
        uint8_t *values = base + field->offset;
        size_t count = 1;
        if (field->label == PROTOBUF_C_LABEL_REPEATED) {
            memcpy(&count, base + field->quantifier_offset, sizeof count);
            memcpy(&values, base + field->offset, sizeof values);
        } else if ((field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0) {
            uint32_t which;
            memcpy(&which, base + field->quantifier_offset, sizeof which);
            if (which != field->id) continue;
        }
        size_t size = value_size(field);
        for (size_t k = 0; k < count && size > 0; k++)
            visit(field, values + k * size);
    }
}

/* Wipe what a value holds: tokens, keys, secrets are among the bytes and texts. */
static void wipe_value(const ProtobufCFieldDescriptor *field, void *value)
{
    if (field->type == PROTOBUF_C_TYPE_MESSAGE) {
        ProtobufCMessage *inner = *(ProtobufCMessage **)value;
        if (inner != NULL) each_value(inner, wipe_value);
    } else if (field->type == PROTOBUF_C_TYPE_BYTES) {
        ProtobufCBinaryData *data = value;
        if (data->data != NULL) explicit_bzero(data->data, data->len);
    } else if (field->type == PROTOBUF_C_TYPE_STRING) {
        char *text = *(char **)value;
        if (text != NULL)
            explicit_bzero(text, strlen(text)); /* the shared "" has nothing to wipe */
    }
}

/* Drop the fields that this build does not know: what is not judged is not carried along. */
static void forget_unknown(ProtobufCMessage *message);
static void forget_unknown_in(const ProtobufCFieldDescriptor *field, void *value)
{
    if (field->type != PROTOBUF_C_TYPE_MESSAGE) return;
    ProtobufCMessage *inner = *(ProtobufCMessage **)value;
    if (inner != NULL) forget_unknown(inner);
}

static void forget_unknown(ProtobufCMessage *message)
{
    for (unsigned i = 0; i < message->n_unknown_fields; i++)
        free(message->unknown_fields[i].data);
    free(message->unknown_fields);
    message->unknown_fields = NULL;
    message->n_unknown_fields = 0;
    each_value(message, forget_unknown_in);
}

static urd_err unpack(const ProtobufCMessageDescriptor *descriptor, const uint8_t *bytes,
                      size_t bytes_len, size_t bytes_max, ProtobufCMessage **ret, char *errmsg,
                      size_t errmsg_len)
{
    if (bytes_len > bytes_max) {
        say(errmsg, errmsg_len, "message of %zu bytes; at most %zu go through", bytes_len,
            bytes_max);
        return URD_E_TOO_BIG;
    }
    struct unpack_memory memory = { .left = UNPACK_BYTES_FLAT + 2 * bytes_len };
    ProtobufCAllocator allocator = { unpack_alloc, unpack_free, &memory };
    ProtobufCMessage *message = protobuf_c_message_unpack(descriptor, &allocator, bytes_len, bytes);
    if (message == NULL) {
        say(errmsg, errmsg_len,
            memory.spent ? "more parts than a message may have" : "not a message of the protocol");
        return memory.spent ? URD_E_TOO_BIG : URD_E_INVALID;
    }
    forget_unknown(message);
    *ret = message;
    return URD_OK;
}

void node_request_free(Urd__V1__Request *request)
{
    if (request == NULL) return;
    each_value(&request->base, wipe_value);
    urd__v1__request__free_unpacked(request, NULL);
}

void node_reply_free(Urd__V1__Reply *reply)
{
    if (reply == NULL) return;
    each_value(&reply->base, wipe_value);
    urd__v1__reply__free_unpacked(reply, NULL);
}

urd_err node_request_decode(const uint8_t *bytes, size_t bytes_len, Urd__V1__Request **ret,
                            char *errmsg, size_t errmsg_len)
{
    ProtobufCMessage *message = NULL;
    urd_err err = unpack(&urd__v1__request__descriptor, bytes, bytes_len, NODE_REQUEST_BYTES_MAX,
                         &message, errmsg, errmsg_len);
    if (err != URD_OK) return err;
    Urd__V1__Request *request = (Urd__V1__Request *)message;
    err = node_request_check(request, errmsg, errmsg_len);
    if (err != URD_OK) {
        node_request_free(request);
        return err;
    }
    *ret = request;
    return URD_OK;
}

urd_err node_reply_decode(const uint8_t *bytes, size_t bytes_len, Urd__V1__Reply **ret,
                          char *errmsg, size_t errmsg_len)
{
    ProtobufCMessage *message = NULL;
    urd_err err = unpack(&urd__v1__reply__descriptor, bytes, bytes_len, NODE_REPLY_BYTES_MAX,
                         &message, errmsg, errmsg_len);
    if (err != URD_OK) return err;
    Urd__V1__Reply *reply = (Urd__V1__Reply *)message;
    err = node_reply_check(reply, errmsg, errmsg_len);
    if (err != URD_OK) {
        node_reply_free(reply);
        return err;
    }
    *ret = reply;
    return URD_OK;
}

urd_err node_reply_result(const Urd__V1__Reply *reply, char *errmsg, size_t errmsg_len)
{
    if (reply->error == NULL) return URD_OK;
    urd_err err;
    if (!urd_err_from_name(reply->error->code, &err) || err == URD_OK) {
        say(errmsg, errmsg_len, "%s: %s", reply->error->code, reply->error->message);
        return URD_E_VERSION;
    }
    say(errmsg, errmsg_len, "%s",
        reply->error->message[0] != 0 ? reply->error->message : urd_err_text(err));
    return err;
}
