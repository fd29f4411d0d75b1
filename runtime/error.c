#include "runtime/error.h"

#include <string.h>

static const struct {
    urd_err_class err_class;
    const char *name;
    const char *text;
} table[URD_E_COUNT] = {
#define X(code, class_, text_) [code] = { class_, #code, text_ },
    URD_E_TABLE(X)
#undef X
};

static bool known(urd_err err)
{
    return (unsigned)err < URD_E_COUNT;
}

const char *urd_err_text(urd_err err)
{
    return known(err) ? table[err].text : "unknown error";
}

const char *urd_err_name(urd_err err)
{
    return known(err) ? table[err].name : "URD_E_UNKNOWN";
}

urd_err_class urd_err_classify(urd_err err)
{
    return known(err) ? table[err].err_class : URD_CLASS_REFUSE;
}

bool urd_err_from_name(const char *name, urd_err *ret)
{
    for (unsigned i = 0; i < URD_E_COUNT; i++) {
        if (strcmp(name, table[i].name) != 0) continue;
        *ret = (urd_err)i;
        return true;
    }
    return false;
}
