#include "ctl/usage.hpp"

#include <algorithm>
#include <cctype>
#include <sstream>
#include <string_view>

#include <CLI/CLI.hpp>

#include "config/model/names.hpp"

namespace manul::ctl {

namespace {

std::vector<std::string_view> command_names(const CLI::App& verb) {
    std::vector<std::string_view> names;
    for (const CLI::App* command : verb.get_subcommands([](const CLI::App*) { return true; })) {
        names.emplace_back(command->get_name());
    }
    return names;
}

/// "--filename" and the like, of the command and of all.
std::vector<std::string> option_names(const CLI::App& app, const CLI::App& verb) {
    std::vector<std::string> names;
    for (const CLI::App* owner : {&verb, &app}) {
        for (const CLI::Option* option : owner->get_options()) {
            for (const std::string& name : option->get_lnames()) {
                names.push_back("--" + name);
            }
        }
    }
    return names;
}

std::string meant(std::string_view text, const std::vector<std::string_view>& candidates) {
    const auto close = model::closest(text, candidates);
    return close ? ", did you mean '" + std::string(*close) + "'?" : "";
}

bool is_option(std::string_view text) { return text.starts_with('-'); }

std::string about_command(const CLI::App& verb, const std::vector<std::string>& extras,
                          const std::vector<std::string_view>& commands) {
    std::string list;
    for (const std::string_view name : commands) {
        list += (list.empty() ? "" : ", ") + std::string(name);
    }
    const auto word = std::ranges::find_if_not(extras, is_option);
    const std::string what = verb.get_parent() == nullptr ? "command" : "command of " + verb.get_name();
    if (word == extras.end()) {
        return "name a " + what + ": " + list;
    }
    return "unknown " + what + " '" + *word + "'" + meant(*word, commands) + "\nThere are " + list + ".";
}

std::string about_extra(const CLI::App& app, const CLI::App& verb, const std::string& extra) {
    const std::vector<std::string> names = option_names(app, verb);
    if (extra.size() > 1 && extra.starts_with('-')) {
        const std::string option = extra.substr(0, extra.find('='));
        return "unknown option '" + option + "'" + meant(option, {names.begin(), names.end()});
    }
    const bool takes_files = std::ranges::find(names, "--filename") != names.end();
    return "'" + extra + "' is not expected here" + (takes_files ? "; files are given with -f" : "");
}

/// What would have been right in place of a value that the option's type cannot hold. All our numbers are whole and
/// none is negative.
std::string_view expected(const CLI::Option& option, std::string_view value) {
    if (option.get_type_name() == "BOOLEAN") {
        return "expected true or false";
    }
    if (value.starts_with('-')) {
        return "expected a number that is not negative";
    }
    const bool digits = !value.empty() && value.find_first_not_of("0123456789") == std::string_view::npos;
    return digits                                   ? "that is too large"
           : value.find_first_of("0123456789") == 0 ? "expected a whole number"
                                                    : "expected a number";
}

/// The parser's words; for a value of the wrong type, what would be right.
std::string about_value(const CLI::App& verb, const std::string& what) {
    constexpr std::string_view kConversion = "Could not convert: ";
    if (!what.starts_with(kConversion)) {
        const std::string own = verb.get_name() + ": ";
        return what.starts_with(own) ? what.substr(own.size()) : what;
    }
    const std::string rest = what.substr(kConversion.size());  // "--source-port = http"
    for (const CLI::Option* option : verb.get_options()) {
        if (rest.starts_with(option->get_name() + " = ")) {
            const std::string_view value = std::string_view(rest).substr(option->get_name().size() + 3);
            return rest + ": " + std::string(expected(*option, value));
        }
    }
    return what;
}

/// "AS-PATH" of --as-path.
std::string placeholder(std::string name) {
    std::ranges::transform(name, name.begin(), [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
    return name;
}

class HelpFormatter final : public CLI::Formatter {
public:
    std::string make_subcommand(const CLI::App* sub) const override {
        const std::string description = sub->get_description();
        std::string summary = description.substr(0, description.find('\n'));
        if (summary.ends_with('.')) {
            summary.pop_back();
        }
        std::ostringstream out;
        CLI::detail::format_help(out, sub->get_name(), summary, get_column_width());
        return out.str();
    }
    std::string make_option_name(const CLI::Option* option, bool is_positional) const override {
        return is_positional ? value_name(*option) : CLI::Formatter::make_option_name(option, is_positional);
    }
    std::string make_option_usage(const CLI::Option* option) const override {
        const std::string name = value_name(*option);
        return option->get_required() ? name : "[" + name + "]";
    }
    std::string make_option_opts(const CLI::Option* option) const override {
        if (option->get_positional() || option->get_expected_min() == 0) {  // a flag
            return "";
        }
        std::string out;
        if (option->get_type_size() != 0) {
            out = " " + value_name(*option);
            if (!option->get_default_str().empty()) {
                out += "=" + option->get_default_str();
            }
            if (option->get_required()) {
                out += " (required)";
            }
        }
        return out;
    }

private:
    /// What stands for the value: the type's name where it says something, else the option's own.
    static std::string value_name(const CLI::Option& option) {
        const std::string type = option.get_type_name();
        if (type == "UINT" && !option.get_positional()) {
            return "N";
        }
        constexpr std::string_view kChecked = "TEXT:";  // what a validator wants stands behind it: "{Enabled,Disabled}"
        if (type.starts_with(kChecked)) {
            return type.substr(kChecked.size());
        }
        if (!type.empty() && type != "TEXT" && type != "UINT") {
            return type;
        }
        return placeholder(option.get_positional() ? option.get_name(true) : option.get_lnames().front());
    }
};

}  // namespace

std::shared_ptr<CLI::FormatterBase> help_formatter() { return std::make_shared<HelpFormatter>(); }

std::string usage_error(const CLI::App& app, const CLI::ParseError& error) {
    const CLI::App* verb = &app;
    std::string words = app.get_name();
    while (!verb->get_subcommands().empty()) {
        verb = verb->get_subcommands().front();
        words += " " + verb->get_name();
    }
    const std::vector<std::string> extras = app.remaining(true);
    const std::vector<std::string_view> commands = command_names(*verb);
    std::string text;
    const bool only_options = !extras.empty() && std::ranges::all_of(extras, is_option);
    if (!commands.empty() && !only_options) {
        text = about_command(*verb, extras, commands);
    } else if (!extras.empty()) {
        text = about_extra(app, *verb, extras.front());
    } else {
        text = about_value(*verb, error.what());
    }
    return words + ": " + text + "\nRun `" + words + " --help` for what it takes.\n";
}

std::vector<std::string> parser_arguments(int argc, const char* const* argv) {
    std::vector<std::string> arguments(argv + std::min(argc, 1), argv + argc);
    if (!arguments.empty() && arguments.front() == "help") {
        arguments.erase(arguments.begin());
        arguments.emplace_back("--help");
    }
    for (std::string& argument : arguments) {  // -n=prod is -nprod, not the namespace "=prod"
        if (argument == "--") {
            break;
        }
        if (argument.size() > 2 && argument[0] == '-' && argument[1] != '-' && argument[2] == '=') {
            argument.erase(2, 1);
        }
    }
    std::ranges::reverse(arguments);
    return arguments;
}

}  // namespace manul::ctl
