#include "saga/json.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Levels of brackets outside strings: more than the parser will find, never fewer. */
static bool too_deep(const char *text, size_t text_len)
{
    size_t depth = 0;
    bool in_string = false;

    for (size_t i = 0; i < text_len; i++) {
        char c = text[i];
        if (in_string) {
            if (c == '\\') i++;
            if (c == '"') in_string = false;
            continue;
        }
        if (c == '"') in_string = true;
        if (c == '{' || c == '[') depth++;
        if ((c == '}' || c == ']') && depth > 0) depth--;
        if (depth > SAGA_JSON_DEPTH_MAX) return true;
    }
    return false;
}

urd_err saga_json_decode(const char *text, size_t text_len, size_t bytes_max, json_t **ret,
                         char *errmsg, size_t errmsg_len)
{
    assert(text != NULL || text_len == 0);
    if (text_len > bytes_max) {
        if (errmsg != NULL)
            (void)snprintf(errmsg, errmsg_len, "%zu bytes of JSON; at most %zu are taken", text_len,
                           bytes_max);
        return URD_E_TOO_BIG;
    }
    if (too_deep(text, text_len)) {
        if (errmsg != NULL)
            (void)snprintf(errmsg, errmsg_len, "JSON is nested deeper than %u levels",
                           SAGA_JSON_DEPTH_MAX);
        return URD_E_TOO_BIG;
    }

    json_error_t error;
    json_t *value = json_loadb(text_len > 0 ? text : "", text_len,
                               JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
    if (value == NULL) {
        if (json_error_code(&error) == json_error_out_of_memory) return URD_E_NOMEM;
        if (errmsg != NULL)
            (void)snprintf(errmsg, errmsg_len, "not JSON: line %d, column %d: %s", error.line,
                           error.column, error.text);
        return URD_E_INVALID;
    }
    *ret = value;
    return URD_OK;
}

char *saga_json_canonical(const json_t *value)
{
    return json_dumps(value, JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY);
}

bool saga_json_pointer_valid(const char *pointer)
{
    if (pointer[0] != '\0' && pointer[0] != '/') return false;
    for (const char *at = strchr(pointer, '~'); at != NULL; at = strchr(at + 1, '~'))
        if (at[1] != '0' && at[1] != '1') return false;
    return true;
}

/* Does reference token @token (@len bytes, escaped) name member @name? */
static bool token_is(const char *token, size_t len, const char *name)
{
    size_t at = 0;
    while (at < len) {
        char c = token[at++];
        if (c == '~') c = token[at++] == '0' ? '~' : '/';
        if (*name++ != c) return false;
    }
    return *name == '\0';
}

static json_t *member(json_t *object, const char *token, size_t len)
{
    const char *name;
    json_t *value;
    if (memchr(token, '~', len) == NULL) return json_object_getn(object, token, len);
    json_object_foreach(object, name, value)
    {
        if (token_is(token, len, name)) return value;
    }
    return NULL;
}

/* Array index: digits without a leading zero. */
static json_t *element(json_t *array, const char *token, size_t len)
{
    size_t index = 0;
    if (len == 0 || len > 9 || (len > 1 && token[0] == '0')) return NULL;
    for (size_t i = 0; i < len; i++) {
        if (token[i] < '0' || token[i] > '9') return NULL;
        index = index * 10 + (size_t)(token[i] - '0');
    }
    return json_array_get(array, index);
}

json_t *saga_json_pointer_get(json_t *value, const char *pointer)
{
    assert(saga_json_pointer_valid(pointer));
    while (value != NULL && *pointer == '/') {
        const char *token = pointer + 1;
        size_t len = strcspn(token, "/");
        if (json_is_object(value))
            value = member(value, token, len);
        else
            value = json_is_array(value) ? element(value, token, len) : NULL;
        pointer = token + len;
    }
    return value;
}
