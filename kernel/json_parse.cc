// SPDX-License-Identifier: Apache-2.0
// The only file that knows simdjson. Its DOM parser judges the whole text before anything is
// written; only when it refuses does an on-demand walk look for the place, which the DOM does
// not tell.
#include <algorithm>
#include <new>
#include <string_view>
#include <utility>
#include <vector>

#define SIMDJSON_EXCEPTIONS 0 // no conversion that throws compiles
#include <simdjson.h>

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wpedantic"
extern "C" {
#include "kernel/json.h"
#include "kernel/pack.h"
}
#pragma GCC diagnostic pop

namespace dom = simdjson::dom;
namespace ondemand = simdjson::ondemand;

struct json_parser {
    dom::parser dom;
    std::vector<std::string_view> keys; // of the objects being walked, innermost last
};

namespace
{

constexpr size_t entries_max = 0xFFFFFE; // simdjson's counts stop at 24 bits
constexpr size_t excerpt_max = 40;

struct walk {
    std::vector<std::string_view> &keys;
    struct buffer *out;
    struct error *error;
};

int
excerpt_size(std::string_view text)
{
    return static_cast<int>(std::min(text.size(), excerpt_max));
}

enum status write_value(const walk &walk, dom::element element, int depth);

enum status
write_array(const walk &walk, dom::array array, int depth)
{
    if (array.size() > entries_max) {
        error_set(walk.error, "an array has more than %zu entries", entries_max);
        return STATUS_INVALID;
    }
    pack_array(walk.out, static_cast<uint32_t>(array.size()));
    for (dom::element entry : array) {
        const enum status status = write_value(walk, entry, depth + 1);
        if (status != STATUS_OK)
            return status;
    }
    return STATUS_OK;
}

// Sorting instead of hashing: keys that collide on purpose cost nothing more.
enum status
check_keys(const walk &walk, dom::object object)
{
    const size_t base = walk.keys.size();
    for (auto field : object)
        walk.keys.push_back(field.key);
    const auto first = walk.keys.begin() + static_cast<std::ptrdiff_t>(base);
    std::sort(first, walk.keys.end());
    const auto twin = std::adjacent_find(first, walk.keys.end());
    enum status status = STATUS_OK;
    if (twin != walk.keys.end()) {
        error_set(walk.error, "duplicate key \"%.*s\" in an object", excerpt_size(*twin),
                  twin->data());
        status = STATUS_INVALID;
    }
    walk.keys.resize(base);
    return status;
}

enum status
write_object(const walk &walk, dom::object object, int depth)
{
    if (object.size() > entries_max) {
        error_set(walk.error, "an object has more than %zu entries", entries_max);
        return STATUS_INVALID;
    }
    enum status status = check_keys(walk, object);
    if (status != STATUS_OK)
        return status;
    pack_map(walk.out, static_cast<uint32_t>(object.size()));
    for (auto field : object) {
        pack_text(walk.out, {field.key.data(), field.key.size()});
        status = write_value(walk, field.value, depth + 1);
        if (status != STATUS_OK)
            return status;
    }
    return STATUS_OK;
}

enum status
write_value(const walk &walk, dom::element element, int depth)
{
    switch (element.type()) {
    case dom::element_type::ARRAY:
    case dom::element_type::OBJECT:
        if (depth >= JSON_DEPTH_MAX) {
            error_set(walk.error, "nested deeper than %d levels", JSON_DEPTH_MAX);
            return STATUS_INVALID;
        }
        return element.is_array() ? write_array(walk, element.get_array().value_unsafe(), depth)
                                  : write_object(walk, element.get_object().value_unsafe(), depth);
    case dom::element_type::INT64:
        pack_int(walk.out, element.get_int64().value_unsafe());
        return STATUS_OK;
    case dom::element_type::UINT64:
        pack_uint(walk.out, element.get_uint64().value_unsafe());
        return STATUS_OK;
    case dom::element_type::DOUBLE:
        pack_double(walk.out, element.get_double().value_unsafe());
        return STATUS_OK;
    case dom::element_type::STRING: {
        const std::string_view text = element.get_string().value_unsafe();
        pack_text(walk.out, {text.data(), text.size()});
        return STATUS_OK;
    }
    case dom::element_type::BOOL:
        pack_bool(walk.out, element.get_bool().value_unsafe());
        return STATUS_OK;
    case dom::element_type::NULL_VALUE:
        pack_nil(walk.out);
        return STATUS_OK;
    }
    error_set(walk.error, "a value of unknown type");
    return STATUS_INTERNAL;
}

// ---- the place of an error ----

// Visits values in order until one cannot be read; at is where that one begins.
simdjson::error_code
find_bad_value(ondemand::value value, const char *&at, int depth)
{
    ondemand::json_type type;
    at = value.raw_json_token().data();
    simdjson::error_code code = value.type().get(type);
    if (code != simdjson::SUCCESS)
        return code;
    switch (type) {
    case ondemand::json_type::array: {
        ondemand::array array;
        if (depth >= JSON_DEPTH_MAX)
            return simdjson::DEPTH_ERROR;
        code = value.get_array().get(array);
        if (code != simdjson::SUCCESS)
            return code;
        for (auto entry : array) {
            ondemand::value inner;
            code = entry.get(inner);
            if (code == simdjson::SUCCESS)
                code = find_bad_value(inner, at, depth + 1);
            if (code != simdjson::SUCCESS)
                return code;
        }
        return simdjson::SUCCESS;
    }
    case ondemand::json_type::object: {
        ondemand::object object;
        if (depth >= JSON_DEPTH_MAX)
            return simdjson::DEPTH_ERROR;
        code = value.get_object().get(object);
        if (code != simdjson::SUCCESS)
            return code;
        for (auto entry : object) {
            ondemand::field field;
            code = std::move(entry).get(field);
            if (code != simdjson::SUCCESS)
                return code;
            at = field.key().raw();
            std::string_view key;
            code = field.unescaped_key().get(key);
            if (code == simdjson::SUCCESS)
                code = find_bad_value(field.value(), at, depth + 1);
            if (code != simdjson::SUCCESS)
                return code;
        }
        return simdjson::SUCCESS;
    }
    case ondemand::json_type::number:
        return value.get_number().error();
    case ondemand::json_type::string:
        return value.get_string().error();
    case ondemand::json_type::boolean:
        return value.get_bool().error();
    case ondemand::json_type::null:
        return value.is_null().error();
    }
    return simdjson::SUCCESS;
}

// The offset of the value that on-demand refuses, or behind which it finds the text broken;
// false when the text is broken before values can be told apart.
bool
find_place(struct text json, size_t *offset)
{
    simdjson::padded_string padded(json.data, json.size);
    if (padded.data() == nullptr)
        return false;
    ondemand::parser parser;
    ondemand::document document;
    ondemand::value root;
    if (parser.iterate(padded).get(document) != simdjson::SUCCESS)
        return false;
    const char *at = nullptr;
    if (document.get_value().get(root) != simdjson::SUCCESS)
        return false;
    if (find_bad_value(root, at, 0) == simdjson::SUCCESS)
        return false;
    const char *start = padded.data();
    if (at == nullptr || at < start || at >= start + json.size)
        return false;
    *offset = static_cast<size_t>(at - start);
    return true;
}

// The integer that begins the text, whole; empty when another kind of value does.
std::string_view
leading_integer(std::string_view text)
{
    size_t size = !text.empty() && text[0] == '-' ? 1 : 0;
    const size_t digits = size;
    while (size < text.size() && text[size] >= '0' && text[size] <= '9')
        size++;
    const bool number = size > digits && (text[digits] != '0' || size == digits + 1);
    const bool real =
        size < text.size() && (text[size] == '.' || text[size] == 'e' || text[size] == 'E');
    return number && !real ? text.substr(0, size) : std::string_view();
}

enum status
explain(struct text json, simdjson::error_code code, struct error *error)
{
    if (code == simdjson::MEMALLOC)
        return STATUS_NOMEM;
    if (code == simdjson::CAPACITY) {
        error_set(error, "JSON text of %zu bytes is too large", json.size);
        return STATUS_INVALID;
    }
    const std::string_view whole(json.data, json.size);
    size_t offset = whole.find_first_not_of(" \t\r\n");
    bool found = offset != std::string_view::npos && whole[offset] != '[' && whole[offset] != '{';
    if (!found)
        found = find_place(json, &offset);
    if (!found) {
        error_set(error, "not JSON: %s", simdjson::error_message(code));
        return STATUS_INVALID;
    }
    const std::string_view integer = leading_integer(whole.substr(offset));
    if (code == simdjson::NUMBER_ERROR && !integer.empty())
        error_set(error, "byte %zu: the integer %.*s%s does not fit 64 bits", offset,
                  excerpt_size(integer), integer.data(), integer.size() > excerpt_max ? "..." : "");
    else if (code == simdjson::DEPTH_ERROR)
        error_set(error, "byte %zu: nested deeper than %d levels", offset, JSON_DEPTH_MAX);
    else
        error_set(error, "not JSON at or after byte %zu: %s", offset,
                  simdjson::error_message(code));
    return STATUS_INVALID;
}

enum status
parse(struct json_parser *parser, struct text json, struct buffer *out, struct error *error)
{
    dom::element root;
    const simdjson::error_code code =
        parser->dom.parse(json.size > 0 ? json.data : "", json.size).get(root);
    if (code != simdjson::SUCCESS)
        return explain(json, code, error);
    parser->keys.clear();
    const enum status status = write_value({parser->keys, out, error}, root, 0);
    return status == STATUS_OK && out->failed ? STATUS_NOMEM : status;
}

} // namespace

extern "C" struct json_parser *
json_parser_new(void)
{
    return new (std::nothrow) json_parser;
}

extern "C" void
json_parser_destroy(struct json_parser **parser_p)
{
    delete *parser_p;
    *parser_p = nullptr;
}

extern "C" enum status
json_to_msgpack(struct json_parser *parser, struct text json, struct buffer *out,
                struct error *error)
{
    const size_t before = out->size;
    enum status status;
    try {
        status = parse(parser, json, out, error);
    } catch (const std::bad_alloc &) {
        status = STATUS_NOMEM;
    }
    if (status == STATUS_NOMEM)
        error_set(error, "out of memory for JSON text of %zu bytes", json.size);
    if (status != STATUS_OK)
        out->size = before;
    return status;
}
