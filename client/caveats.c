#include "client/caveats.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "caps/caveat.h"
#include "caps/time_text.h"
#include "client/units.h"

static bool add(struct client_caveats *p, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static bool add(struct client_caveats *p, const char *format, ...)
{
    if (p->count == CLIENT_CAVEATS_MAX) return false;
    va_list args;
    va_start(args, format);
    int len = vsnprintf(p->texts[p->count], CLIENT_CAVEAT_BYTES, format, args);
    va_end(args);
    if (len < 0 || len >= CLIENT_CAVEAT_BYTES) return false;
    p->list[p->count] = p->texts[p->count];
    p->count++;
    return true;
}

/* "DUR" from now, or "TIME" as it stands, as the text of an instant. */
static bool instant_text(struct urd_cx *cx, const char *given, char ret[URD_CAPS_TIME_TEXT_LEN + 1])
{
    uint64_t from_now_ns;
    int64_t wall_ns, unix_s;
    if (urd_caps_time_parse(given, strlen(given), &unix_s) == URD_OK)
        return urd_caps_time_format(unix_s, ret) == URD_OK;
    if (!client_parse_duration(given, &from_now_ns) || from_now_ns > URD_CAPS_DURATION_NS_MAX * 100)
        return false;
    if (urd_cx_wall(cx, &wall_ns) != URD_OK) return false;
    return urd_caps_time_format((wall_ns + (int64_t)from_now_ns) / 1000000000, ret) == URD_OK;
}

bool client_caveats_read(struct urd_cx *cx, const struct client_invocation *inv,
                         struct client_caveats *p)
{
    static const char *const plain[] = { "action", "resource", "rate", "region", "task" };
    char text[URD_CAPS_TIME_TEXT_LEN + 1];
    bool ok = true;
    for (unsigned i = 0; i < sizeof plain / sizeof plain[0]; i++) {
        const char *value = client_text(inv, plain[i], NULL);
        if (value == NULL) continue;
        ok = ok && add(p, "%s %s %s", plain[i], strcmp(plain[i], "rate") == 0 ? "<=" : "=", value);
    }
    const char *expires = client_text(inv, "expires", NULL),
               *from = client_text(inv, "not-before", NULL);
    if (expires != NULL) {
        ok = ok && instant_text(cx, expires, text) && add(p, "time < %s", text);
    }
    if (from != NULL) ok = ok && instant_text(cx, from, text) && add(p, "time >= %s", text);
    if (client_given(inv, "uses"))
        ok = ok && add(p, "uses <= %" PRIu64, client_number(inv, "uses", 0));
    const char *pair;
    for (unsigned i = 0; (pair = client_text_nth(inv, "require", i)) != NULL; i++) {
        const char *equals = strchr(pair, '=');
        ok = ok && equals != NULL && add(p, "%.*s = %s", (int)(equals - pair), pair, equals + 1);
    }
    if (!ok)
        (void)fprintf(stderr, "urd: a caveat is not understood; see 'urd help %s'\n",
                      inv->command->words);
    return ok;
}
