#include "saga/view.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "saga/json.h"

void saga_view_text(json_t *to, const char *member, const char *text)
{
    (void)json_object_set_new(to, member, text == NULL ? json_null() : json_string(text));
}

void saga_view_int(json_t *to, const char *member, int64_t value)
{
    (void)json_object_set_new(to, member, json_integer((json_int_t)value));
}

void saga_view_bool(json_t *to, const char *member, bool value)
{
    (void)json_object_set_new(to, member, json_boolean(value));
}

void saga_view_json(json_t *to, const char *member, const char *text)
{
    json_t *value;
    if (text == NULL || saga_json_decode(text, strlen(text), SIZE_MAX, &value, NULL, 0) != URD_OK)
        value = json_null();
    (void)json_object_set_new(to, member, value);
}

void saga_view_time(json_t *to, const char *member, int64_t at_ns)
{
    char text[64];
    struct tm parts;
    int64_t s = at_ns / 1000000000, ms = at_ns / 1000000 % 1000;
    time_t when = (time_t)s;
    if (at_ns < 0 || gmtime_r(&when, &parts) == NULL) {
        saga_view_int(to, member, at_ns);
        return;
    }
    size_t len = strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &parts);
    (void)snprintf(text + len, sizeof text - len, ".%03dZ", (int)ms);
    saga_view_text(to, member, text);
}
