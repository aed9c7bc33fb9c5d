#include "ctl/usage.hpp"

#include <algorithm>
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

}  // namespace

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
