/* What handlers use: memory that goes with the call, errors with a sentence, asking the grant. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/node_internal.h"

void *node_arena_alloc(struct node_arena *arena, size_t size)
{
    struct node_arena_block *block = calloc(1, sizeof *block + size);
    if (block == NULL) return NULL;
    block->size = size;
    block->next = arena->first;
    arena->first = block;
    return block->bytes;
}

urd_err node_call_keep_facts(struct node_call *call, Urd__V1__Fact **facts, size_t count)
{
    struct node_arena_facts *kept = node_call_alloc(call, sizeof *kept);
    if (kept == NULL) {
        node_facts_free(facts, count);
        return URD_E_NOMEM;
    }
    *kept = (struct node_arena_facts){ call->arena->facts, facts, count };
    call->arena->facts = kept;
    return URD_OK;
}

urd_err node_call_keep_reply(struct node_call *call, Urd__V1__Reply *reply)
{
    node_reply_free(call->arena->reply);
    call->arena->reply = reply;
    call->reply = *reply; /* shares what it points to */
    return URD_OK;
}

void node_arena_done(struct node_arena *arena)
{
    node_reply_free(arena->reply);
    arena->reply = NULL;
    for (struct node_arena_facts *kept = arena->facts; kept != NULL; kept = kept->next)
        node_facts_free(kept->facts, kept->count);
    arena->facts = NULL;
    while (arena->first != NULL) {
        struct node_arena_block *block = arena->first;
        arena->first = block->next;
        explicit_bzero(block->bytes, block->size);
        free(block);
    }
}

void *node_call_alloc(struct node_call *call, size_t size)
{
    return node_arena_alloc(call->arena, size);
}

char *node_call_text(struct node_call *call, const char *text)
{
    size_t len = strlen(text);
    char *copy = node_call_alloc(call, len + 1);
    if (copy != NULL) memcpy(copy, text, len + 1);
    return copy;
}

ProtobufCBinaryData node_call_bytes(struct node_call *call, const void *bytes, size_t len,
                                    bool *ret_ok)
{
    ProtobufCBinaryData data = { 0, NULL };
    if (ret_ok != NULL) *ret_ok = true;
    if (len == 0) return data;
    data.data = node_call_alloc(call, len);
    if (data.data == NULL) {
        if (ret_ok != NULL) *ret_ok = false;
        return data;
    }
    memcpy(data.data, bytes, len);
    data.len = len;
    return data;
}

urd_err node_call_json(struct node_call *call, json_t *json, ProtobufCBinaryData *ret)
{
    char *text = json != NULL ? json_dumps(json, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
    json_decref(json);
    if (text == NULL) return URD_E_NOMEM;
    bool ok;
    ProtobufCBinaryData data = node_call_bytes(call, text, strlen(text), &ok);
    free(text);
    if (!ok) return URD_E_NOMEM;
    *ret = data;
    return URD_OK;
}

urd_err node_call_done(struct node_call *call)
{
    Urd__V1__Done *done = NODE_CALL_NEW(call, Urd__V1__Done, urd__v1__done__init);
    if (done == NULL) return URD_E_NOMEM;
    call->reply.done = done;
    call->reply.body_case = URD__V1__REPLY__BODY_DONE;
    return URD_OK;
}

urd_err node_call_fail(struct node_call *call, urd_err err, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)vsnprintf(call->errmsg, sizeof call->errmsg, format, args);
    va_end(args);
    return err;
}

bool node_call_allows(const struct node_call *call, const char *action, const char *resource)
{
    return call->grant != NULL && urd_caps_grant_allows(call->grant, action, resource);
}
