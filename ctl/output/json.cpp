#include "ctl/output/json.hpp"

#include <charconv>
#include <cmath>
#include <cstddef>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>

namespace manul::ctl {

namespace {

namespace json = boost::json;

void print(std::string& out, const json::value& value, std::size_t depth);

template <class Container, class PrintItem>
void print_block(std::string& out, const Container& items, char open, char close, std::size_t depth,
                 PrintItem print_item) {
    out += open;
    bool first = true;
    for (const auto& item : items) {
        out += first ? "\n" : ",\n";
        first = false;
        out.append((depth + 1) * 2, ' ');
        print_item(item);
    }
    if (!first) {
        out += '\n';
        out.append(depth * 2, ' ');
    }
    out += close;
}

void print(std::string& out, const json::value& value, std::size_t depth) {
    if (const auto* object = value.if_object()) {
        print_block(out, *object, '{', '}', depth, [&](const json::key_value_pair& member) {
            out += json::serialize(json::value(member.key())) + ": ";
            print(out, member.value(), depth + 1);
        });
    } else if (const auto* array = value.if_array()) {
        print_block(out, *array, '[', ']', depth, [&](const json::value& item) { print(out, item, depth + 1); });
    } else if (const auto* number = value.if_double();
               number != nullptr && *number == std::floor(*number) && std::abs(*number) < 1e15) {
        // The library writes 1E2, which is valid and unreadable.
        out += std::to_string(static_cast<long long>(*number));
    } else {
        out += json::serialize(value);
    }
}

Result<json::value> parsed(std::string_view document) {
    boost::system::error_code ec;
    json::value value = json::parse(document, ec);
    if (ec) {
        return fail("not a JSON document: " + ec.message());
    }
    return value;
}

}  // namespace

Result<std::string> pretty_json(std::string_view document) {
    auto value = parsed(document);
    if (!value) {
        return std::unexpected(value.error());
    }
    std::string out;
    print(out, *value, 0);
    return out + '\n';
}

Result<std::string> exported(std::string_view document) {
    auto value = parsed(document);
    if (!value) {
        return std::unexpected(value.error());
    }
    if (auto* object = value->if_object()) {
        if (auto* metadata = object->if_contains("metadata"); metadata != nullptr && metadata->is_object()) {
            // The namespace, too, as calicoctl does it: the object may be wanted in another one.
            for (const char* field : {"uid", "resourceVersion", "creationTimestamp", "generation", "namespace"}) {
                metadata->get_object().erase(field);
            }
        }
        object->erase("status");
    }
    return json::serialize(*value);
}

}  // namespace manul::ctl
