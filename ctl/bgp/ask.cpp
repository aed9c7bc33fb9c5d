#include "ctl/bgp/ask.hpp"

#include <chrono>
#include <string>
#include <utility>

#include <boost/json/serialize.hpp>

#include "base/control.hpp"
#include "base/try.hpp"

namespace manul::ctl {

namespace json = boost::json;

namespace {
constexpr std::chrono::seconds kAnswerPatience{20};
}  // namespace

Result<json::object> ask_bgpd(const Context& context, const json::object& request) {
    auto answer = control::call(context.settings.run_dir + "/bgpd.sock", request, kAnswerPatience);
    if (!answer) {
        return fail("manul-bgpd of this node: " + answer.error().message);
    }
    if (!answer->is_object()) {
        return fail("manul-bgpd gave an answer that this manulctl does not understand");
    }
    if (const auto* error = answer->get_object().if_contains("error")) {
        return fail(error->is_string() ? std::string(error->get_string()) : json::serialize(*error));
    }
    return std::move(answer->get_object());
}

Result<void> ask_in_parts(const Context& context, json::object request, std::string_view key,
                          const std::function<void(const json::value& part)>& use) {
    for (;;) {
        MANUL_TRY(const json::object answer, ask_bgpd(context, request));
        if (const auto* part = answer.if_contains(key)) {
            use(*part);
        }
        const auto* cursor = answer.if_contains("cursor");
        if (cursor == nullptr) {
            return {};
        }
        request["cursor"] = *cursor;
    }
}

std::string text_at(const json::object& object, std::string_view key) {
    const auto* value = object.if_contains(key);
    if (value == nullptr || value->is_null()) {
        return {};
    }
    return value->is_string() ? std::string(value->get_string()) : json::serialize(*value);
}

}  // namespace manul::ctl
