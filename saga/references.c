/* References: {"$from": "hotel", "$pointer": "/id"} anywhere in a step's input stands for a value
 * of an earlier step's result (RFC 6901). */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "saga/document_internal.h"

#define FROM    "$from"
#define POINTER "$pointer"

bool saga_reference_is(const json_t *value)
{
    return json_is_object(value) &&
           (json_object_get(value, FROM) != NULL || json_object_get(value, POINTER) != NULL);
}

static urd_err check_reference(const struct saga_document *document, uint32_t step,
                               const struct saga_complaint *c, const json_t *reference,
                               uint32_t *ret_source)
{
    const char *from = json_string_value(json_object_get(reference, FROM));
    const json_t *pointer = json_object_get(reference, POINTER);
    size_t members = pointer == NULL ? 1 : 2;

    if (from == NULL)
        return saga_complain(c, URD_E_INVALID, "a reference needs \"$from\": the name of a step");
    if (json_object_size(reference) != members)
        return saga_complain(c, URD_E_INVALID,
                             "a reference holds nothing beside \"$from\" and \"$pointer\"");
    if (pointer != NULL &&
        (!json_is_string(pointer) || !saga_json_pointer_valid(json_string_value(pointer))))
        return saga_complain(c, URD_E_INVALID, "\"$pointer\" is not a JSON pointer (RFC 6901)");
    uint32_t source = saga_document_step(document, from);
    if (source == document->steps_len)
        return saga_complain(c, URD_E_INVALID, "\"$from\": there is no step '%.100s'", from);
    if (source >= step)
        return saga_complain(c, URD_E_INVALID, "\"$from\": step '%.100s' does not come earlier",
                             from);
    *ret_source = source;
    return URD_OK;
}

/* Which steps one step takes from: a mark each, so that the list has each once and in order. */
struct finder {
    struct saga_document *document;
    const struct saga_complaint *complaint;
    uint32_t step;
    uint32_t *seen; /* by step: 1 + the last step that took from it */
    uint32_t *found;
    uint32_t found_len;
};

static urd_err find_in(struct finder *f, const json_t *value)
{
    urd_err err = URD_OK;
    const char *member;
    json_t *child;
    size_t i;

    if (saga_reference_is(value)) {
        uint32_t source = 0;
        err = check_reference(f->document, f->step, f->complaint, value, &source);
        if (err != URD_OK) return err;
        f->document->steps[f->step].references = true;
        if (f->seen[source] == f->step + 1) return URD_OK;
        f->seen[source] = f->step + 1;
        f->found[f->found_len++] = source;
        return URD_OK;
    }
    if (json_is_object(value)) {
        json_object_foreach((json_t *)value, member, child)
        {
            err = find_in(f, child);
            if (err != URD_OK) return err;
        }
    } else if (json_is_array(value)) {
        json_array_foreach((json_t *)value, i, child)
        {
            err = find_in(f, child);
            if (err != URD_OK) return err;
        }
    }
    return URD_OK;
}

static int ascending(const void *a, const void *b)
{
    const uint32_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

urd_err saga_references_find(struct saga_document *document, struct saga_complaint *complaint)
{
    uint32_t n = document->steps_len;
    size_t used = 0, room = 0;
    urd_err err = URD_E_NOMEM;
    struct finder f = { .document = document, .complaint = complaint };

    f.seen = calloc(n, sizeof f.seen[0]);
    f.found = calloc(n, sizeof f.found[0]);
    if (f.seen == NULL || f.found == NULL) goto done;
    for (f.step = 0; f.step < n; f.step++) {
        struct saga_step *step = &document->steps[f.step];
        complaint->step = step->name;
        f.found_len = 0;
        err = find_in(&f, step->input);
        if (err != URD_OK) goto done;
        if (used + f.found_len > room) {
            room = 2 * room + f.found_len;
            uint32_t *grown = realloc(document->from, room * sizeof grown[0]);
            if (grown == NULL) {
                err = URD_E_NOMEM;
                goto done;
            }
            document->from = grown;
        }
        qsort(f.found, f.found_len, sizeof f.found[0], ascending);
        if (f.found_len > 0)
            memcpy(document->from + used, f.found, f.found_len * sizeof f.found[0]);
        step->from_len = f.found_len;
        used += f.found_len;
    }
    /* Only now does the list stay where it is. */
    used = 0;
    for (uint32_t i = 0; i < n; i++) {
        document->steps[i].from = document->from == NULL ? NULL : document->from + used;
        used += document->steps[i].from_len;
    }
    complaint->step = NULL;
    err = URD_OK;
done:
    free(f.found);
    free(f.seen);
    return err;
}

/* --- at run time ------------------------------------------------------------------------------ */

struct resolver {
    const struct saga_document *document;
    struct saga_complaint complaint;
    json_t *(*result)(void *arg, uint32_t step);
    void *arg;
};

static urd_err resolve(struct resolver *r, json_t *value, json_t **ret);

static urd_err resolve_reference(struct resolver *r, const json_t *reference, json_t **ret)
{
    const char *from = json_string_value(json_object_get(reference, FROM));
    const char *pointer = json_string_value(json_object_get(reference, POINTER));
    json_t *result = r->result(r->arg, saga_document_step(r->document, from));
    json_t *found =
        result == NULL ? NULL : saga_json_pointer_get(result, pointer == NULL ? "" : pointer);
    if (found == NULL)
        return saga_complain(&r->complaint, URD_E_NOT_FOUND,
                             "the result of '%.100s' has nothing at \"%.100s\"", from,
                             pointer == NULL ? "" : pointer);
    *ret = json_incref(found);
    return URD_OK;
}

static urd_err resolve_object(struct resolver *r, json_t *value, json_t **ret)
{
    const char *member;
    json_t *child;
    json_t *made = json_object();
    if (made == NULL) return URD_E_NOMEM;
    json_object_foreach(value, member, child)
    {
        json_t *resolved;
        urd_err err = resolve(r, child, &resolved);
        if (err == URD_OK && json_object_set_new(made, member, resolved) != 0) err = URD_E_NOMEM;
        if (err != URD_OK) {
            json_decref(made);
            return err;
        }
    }
    *ret = made;
    return URD_OK;
}

static urd_err resolve(struct resolver *r, json_t *value, json_t **ret)
{
    size_t i;
    json_t *child;

    if (saga_reference_is(value)) return resolve_reference(r, value, ret);
    if (json_is_object(value)) return resolve_object(r, value, ret);
    if (!json_is_array(value)) {
        *ret = json_incref(value);
        return URD_OK;
    }
    json_t *made = json_array();
    if (made == NULL) return URD_E_NOMEM;
    json_array_foreach(value, i, child)
    {
        json_t *resolved;
        urd_err err = resolve(r, child, &resolved);
        if (err == URD_OK && json_array_append_new(made, resolved) != 0) err = URD_E_NOMEM;
        if (err != URD_OK) {
            json_decref(made);
            return err;
        }
    }
    *ret = made;
    return URD_OK;
}

urd_err saga_step_resolve(const struct saga_document *document, uint32_t step,
                          json_t *(*result)(void *arg, uint32_t step), void *arg, json_t **ret,
                          char *errmsg, size_t errmsg_len)
{
    assert(step < document->steps_len);
    struct resolver r = { .document = document, .result = result, .arg = arg };
    r.complaint = (struct saga_complaint){ errmsg, errmsg_len, NULL };
    json_t *input = document->steps[step].input;
    if (input == NULL) {
        *ret = json_null();
        return URD_OK;
    }
    return resolve(&r, input, ret);
}
