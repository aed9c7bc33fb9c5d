#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/try.hpp"
#include "config/codec/tree.hpp"
#include "ctl/output/jsonpath.hpp"
#include "ctl/verbs/fetch.hpp"
#include "ctl/verbs/print.hpp"
#include "ctl/verbs/verbs.hpp"
#include "ctl/verbs/watch.hpp"

namespace manul::ctl {

namespace {

/// Sorts the objects of each kind by what the path leads to: numbers as numbers, objects without a value first.
Result<void> sort_by(Answer& answer, const std::string& path_text) {
    MANUL_TRY(const JsonPath path, JsonPath::parse(path_text));
    for (Found& found : answer.found) {
        std::vector<std::pair<codec::Tree, store::Object>> keyed;
        for (store::Object& object : found.objects) {
            MANUL_TRY(const codec::Tree tree, codec::parse_json(*object.document));
            MANUL_TRY(const auto values, path.find(tree));
            keyed.emplace_back(values.empty() ? codec::Tree{} : *values.front(), std::move(object));
        }
        std::ranges::stable_sort(keyed, comes_before, &std::pair<codec::Tree, store::Object>::first);
        std::ranges::transform(keyed, found.objects.begin(), [](auto& one) { return std::move(one.second); });
    }
    return {};
}

ExitCode get_once(const Context& context, const GetOptions& options, Printer& printer) {
    Answer answer = fetch(context, options.objects);
    for (Found& found : answer.found) {
        for (store::Object& object : found.objects) {
            if (const auto masked = mask_secret(object); !masked) {
                return context.fail(masked.error().message);
            }
        }
    }
    if (!options.sort_by.empty()) {
        if (const auto sorted = sort_by(answer, options.sort_by); !sorted) {
            return context.fail("--sort-by: " + sorted.error().message);
        }
    }
    if (std::ranges::any_of(answer.found, [](const Found& f) { return !f.objects.empty() || !f.by_name; })) {
        const auto text = printer.print(answer);
        if (!text) {
            return context.fail(text.error().message);
        }
        context.print(*text);
    }
    for (const std::string& error : answer.errors) {
        context.err("manulctl: " + error + "\n");
    }
    return answer.errors.empty() ? ExitCode::ok : ExitCode::failed;
}

}  // namespace

ExitCode get_objects(const Context& context, const GetOptions& options) {
    if (options.objects.all_namespaces && options.objects.input.ns) {
        return context.fail("-n and -A exclude each other");
    }
    const auto printer =
        make_printer(context, {.format = options.format,
                               .export_ = options.export_,
                               .with_namespace = options.objects.all_namespaces || options.objects.input.ns.has_value(),
                               .with_labels = options.show_labels,
                               .without_heading = options.no_headers,
                               .with_events = options.output_watch_events});
    if (!printer) {
        return context.fail(printer.error().message);
    }
    if (options.watch || options.watch_only) {
        return watch_objects(context, options.objects, **printer, options.watch_only);
    }
    return get_once(context, options, **printer);
}

}  // namespace manul::ctl
