#include "client/json.h"

#include <stdbool.h>

/* Levels of brackets outside strings: perhaps more than the parser will meet, never fewer. */
static bool is_too_deep(const char *text, size_t text_len)
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
        if (depth > CLIENT_JSON_DEPTH_MAX) return true;
    }
    return false;
}

json_t *client_json_read(const char *text, size_t text_len)
{
    if (text_len == 0 || is_too_deep(text, text_len)) return NULL;
    return json_loadb(text, text_len, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, NULL);
}

const char *client_json_text(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text != NULL ? text : "";
}
