#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/error.hpp"
#include "ctl/context.hpp"
#include "ctl/verbs/fetch.hpp"

/// `get -o`: how objects are printed.
namespace manul::ctl {

struct PrintOptions {
    std::string format;           ///< "", ps, wide, yaml, json, name, jsonpath=..., custom-columns=... and so on
    bool export_ = false;         ///< documents of named objects without what only this store knows
    bool with_namespace = false;  ///< of tables
    bool with_labels = false;
    bool without_heading = false;
    bool with_events = false;  ///< of watches: what happened to each object
};

/// The formats, for help texts and errors.
inline constexpr std::string_view kFormats =
    "ps, wide, yaml, json, name, jsonpath=, jsonpath-file=, go-template=, go-template-file=, custom-columns=, "
    "custom-columns-file=";

/// What a watch reports about one object.
struct ObjectChange {
    std::string_view event;  ///< ADDED, MODIFIED or DELETED
    store::Object object;
};

class Printer {
public:
    virtual ~Printer() = default;
    /// A whole answer.
    [[nodiscard]] virtual Result<std::string> print(const Answer& answer) = 0;
    /// Changes that came together; printed after the earlier ones.
    [[nodiscard]] virtual Result<std::string> print(std::span<const ObjectChange> changes) = 0;
};

/// `ippool.projectcalico.org/a`, as commands take it again.
[[nodiscard]] std::string object_word(const model::Key& key);

/// Reads the format, and the file that it names.
[[nodiscard]] Result<std::unique_ptr<Printer>> make_printer(const Context& context, const PrintOptions& options);

}  // namespace manul::ctl
