#include "ctl/bgp/control.hpp"

#include <chrono>
#include <string>

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>

#include "base/control.hpp"
#include "ctl/context.hpp"

namespace manul::ctl {
namespace {

namespace json = boost::json;

constexpr std::chrono::seconds kCommandPatience{60};  // a full table takes its time to leave the kernel

ExitCode ask(const Context& context, const json::object& request, const char* done) {
    const auto answer = control::call(context.settings.run_dir + "/bgpd.sock", request, kCommandPatience);
    if (!answer) {
        return context.fail("bgpd does not answer: " + answer.error().message);
    }
    if (const auto* error = answer->is_object() ? answer->get_object().if_contains("error") : nullptr) {
        return context.fail("bgpd: " + (error->is_string() ? std::string(error->get_string()) : std::string()));
    }
    context.out(done);
    return ExitCode::ok;
}

}  // namespace

ExitCode bgp_shutdown(const Context& context, const std::string& message) {
    return ask(
        context, {{"op", "shutdown"}, {"text", message}},
        "This node has left BGP: no sessions, no routes. 'manulctl bgp start' or a restart of bgpd ends that.\n");
}

ExitCode bgp_start(const Context& context) { return ask(context, {{"op", "start"}}, "This node speaks BGP again.\n"); }

}  // namespace manul::ctl
