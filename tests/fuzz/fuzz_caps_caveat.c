/* A predicate, a line feed, and a name: what parses is written in a form that parses as the same;
 * judging it never reads past the end; and no name outside canonical form is ever admitted. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "caps/caveat.h"
#include "caps/glob.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t bytes_len);

static void judge(const struct urd_caps_predicate *p, const char *name)
{
    struct urd_caps_request request = { .now_ns = UINT64_C(1893456000000000000),
                                        .action = name,
                                        .resource = name,
                                        .region = name,
                                        .task = name };
    bool held = urd_caps_predicate_holds(p, &request);
    if (p->kind == URD_CAPS_RESOURCE && held)
        assert(urd_caps_name_ok(URD_CAPS_GLOB_RESOURCE, name, strlen(name)));
    if (p->kind == URD_CAPS_ACTION && held)
        assert(urd_caps_name_ok(URD_CAPS_GLOB_ACTION, name, strlen(name)));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t bytes_len)
{
    static char text[URD_CAPS_PREDICATE_BYTES_MAX + 1], again[URD_CAPS_PREDICATE_BYTES_MAX + 1];
    const uint8_t *cut = bytes_len == 0 ? NULL : memchr(bytes, '\n', bytes_len);
    size_t len = cut == NULL ? bytes_len : (size_t)(cut - bytes);
    struct urd_caps_predicate p, q;
    if (urd_caps_predicate_parse((struct urd_caps_bytes){ bytes, len }, &p, NULL, 0) != URD_OK)
        return 0;

    urd_err err = urd_caps_predicate_format(&p, text, sizeof text);
    assert(err == URD_OK);
    err = urd_caps_predicate_parse((struct urd_caps_bytes){ (const uint8_t *)text, strlen(text) },
                                   &q, NULL, 0);
    assert(err == URD_OK && q.kind == p.kind && q.time_s == p.time_s && q.count == p.count &&
           q.duration_ns == p.duration_ns && memcmp(q.link, p.link, sizeof q.link) == 0);
    err = urd_caps_predicate_format(&q, again, sizeof again);
    assert(err == URD_OK && strcmp(text, again) == 0);

    size_t name_len = cut == NULL ? 0 : bytes_len - len - 1;
    char *name = calloc(1, name_len + 1);
    if (name == NULL) return 0;
    if (name_len > 0) memcpy(name, cut + 1, name_len);
    judge(&p, name);
    free(name);
    return 0;
}
