#include "ctl/output/document.hpp"

#include <string>

#include <boost/json/serialize.hpp>

#include "config/codec/yaml.hpp"
#include "ctl/output/json.hpp"

namespace manul::ctl {

ExitCode print_document(const Context& context, const boost::json::value& document, std::string_view format) {
    if (format != "json" && format != "yaml") {
        return context.fail("unknown output format '" + std::string(format) + "'; there are json and yaml");
    }
    const std::string text = boost::json::serialize(document);
    const auto printed = format == "json" ? pretty_json(text) : codec::to_yaml(text);
    if (!printed) {
        return context.fail(printed.error().message);
    }
    context.print(*printed);
    return ExitCode::ok;
}

}  // namespace manul::ctl
