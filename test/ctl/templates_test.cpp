#include <catch2/catch.hpp>
#include <string>
#include <string_view>

#include "config/codec/tree.hpp"
#include "ctl/output/go_template.hpp"
#include "ctl/output/jsonpath.hpp"
#include "ctl/output/unified_diff.hpp"

using namespace manul;
using namespace manul::ctl;

namespace {

constexpr std::string_view kPods = R"({"kind":"List","items":[
  {"metadata":{"name":"a","labels":{"app":"web","a.b/c":"dotted"}},"spec":{"order":100,"ports":[80,443],"on":true}},
  {"metadata":{"name":"b","labels":{"app":"db"}},"spec":{"order":20,"ports":[5432],"note":"say \"hi\""}},
  {"metadata":{"name":"c"},"spec":{"order":3.5,"ports":[]}}]})";

codec::Tree pods() {
    auto tree = codec::parse_json(kPods);
    REQUIRE(tree);
    return *std::move(tree);
}

std::string text_of(const Result<std::string>& printed) { return printed ? *printed : "! " + printed.error().message; }

template <class Template>
std::string print(std::string_view text) {
    const codec::Tree document = pods();
    const auto parsed = Template::parse(text);
    return parsed ? text_of(parsed->print(document)) : "! " + parsed.error().message;
}

struct Case {
    std::string_view text;
    std::string_view printed;
};

}  // namespace

TEST_CASE("jsonpath templates print what kubectl's do") {
    for (const auto& [text, printed] : {
             Case{"{.kind}", "List"},
             Case{".kind", "List"},
             Case{"{.items[*].metadata.name}", "a b c"},
             Case{"{.items[0].metadata.name} and {.items[-1].metadata.name}", "a and c"},
             Case{"{$.items[1].spec.note}", R"(say "hi")"},
             Case{"{@.items[2].spec}", R"({"order":3.5,"ports":[]})"},
             Case{"{.items[0:2].metadata.name}", "a b"},
             Case{"{.items[::2].metadata.name}", "a c"},
             Case{"{.items[-2:].metadata.name}", "b c"},
             Case{"{.items[0,2].metadata.name}", "a c"},
             Case{"{.items[0]['metadata']['name']}", "a"},
             Case{"{.items[0].metadata['name','labels'].app}", "web"},
             Case{"{.items[*].metadata.labels.a\\.b/c}", "dotted"},
             Case{"{.items[*].metadata.labels['a.b/c']}", "dotted"},
             Case{"{.items[0].metadata.labels.*}", "web dotted"},
             Case{"{.items[*]['metadata.name', 'spec.order']}", "a b c 100 20 3.5"},
             Case{"{.items[*]['metadata.name']}", "a b c"},
             Case{"{..name}", "a b c"},
             Case{R"({.items[?(@.metadata.labels.app=="db")].metadata.name})", "b"},
             Case{R"({.items[?(@.metadata.labels.app!='db')].metadata.name})", "a"},
             Case{"{.items[?(@.metadata.labels)].metadata.name}", "a b"},
             Case{"{.items[?(@.spec.order>=20)].metadata.name}", "a b"},
             Case{"{.items[?(@.spec.order<20)].metadata.name}", "c"},
             Case{"{.items[?(@.spec.on==true)].metadata.name}", "a"},
             Case{"{.items[*].spec.ports[?(@>400)]}", "443 5432"},
             Case{R"({range .items[*]}{.metadata.name}{"\t"}{.spec.order}{"\n"}{end})", "a\t100\nb\t20\nc\t3.5\n"},
             Case{R"({range .items[*]}{.metadata.name}:{range .spec.ports[*]}{@},{end};{end})",
                  "a:80,443,;b:5432,;c:;"},
             Case{"{.items[*].absent}", ""},
             Case{"{.items[*].spec.note.deeper}", ""},
             Case{"{'it''s'}", "its"},
         }) {
        CAPTURE(text);
        CHECK(print<JsonPathTemplate>(text) == printed);
    }
}

TEST_CASE("a wrong jsonpath is told with its place") {
    for (const auto& [text, problem] : {
             Case{"{.items[5].kind}", "index 5 is outside a list of 3"},
             Case{"{.items[0}", "'0}' is no index"},
             Case{"{.items[x]}", "'x' is no index"},
             Case{"{.kind[0]}", "only a list has indexes, not List"},
             Case{"{.items[]}", "expected an index, a slice"},
             Case{"{.items[0:2:0]}", "the step of a slice must be 1 or more"},
             Case{"{.items", "a { has no }"},
             Case{"{range .items[*]}{.kind}", "a {range} has no {end}"},
             Case{"{end}", "{end} without {range}"},
             Case{"{\"open}", "a quoted text has no end"},
             Case{"{.items[?(@.a ~ 1)]}", "expected ) or one of == != < <= > >= in a filter"},
             Case{"{.items[?(@.a==b)]}", "expected @.FIELD, a text in quotes"},
             Case{"{items}", "expected a path, such as .metadata.name"},
             Case{"{.a..}", "expected the name of a field"},
         }) {
        CAPTURE(text);
        const std::string printed = print<JsonPathTemplate>(text);
        CHECK(printed.starts_with("! " + std::string(problem)));
    }
    CHECK(JsonPath::parse("{.metadata.name} x").error().message.starts_with("expected nothing more"));
}

TEST_CASE("Go templates print what kubectl's do") {
    for (const auto& [text, printed] : {
             Case{"{{.kind}}!", "List!"},
             Case{"{{range .items}}{{.metadata.name}} {{end}}", "a b c "},
             Case{"{{range $i, $e := .items}}{{$i}}={{$e.metadata.name}}{{if eq $i 1}}{{break}}{{end}},{{end}}",
                  "0=a,1=b"},
             Case{"{{range .items}}{{if eq .metadata.name \"b\"}}{{continue}}{{end}}{{.metadata.name}}{{end}}", "ac"},
             Case{"{{range .absent}}x{{else}}none{{end}}", "none"},
             Case{"{{range .items}}{{range $k, $v := .metadata.labels}}{{$k}}:{{$v}} {{end}}{{end}}",
                  "a.b/c:dotted app:web app:db "},
             Case{"{{with (index .items 1).metadata}}{{.name}} of {{$.kind}}{{end}}", "b of List"},
             Case{"{{with .absent}}x{{else}}no{{end}}", "no"},
             Case{"{{if .absent}}1{{else if gt (len .items) 2}}2{{else}}3{{end}}", "2"},
             Case{"{{index .items 0 \"metadata\" \"labels\" \"a.b/c\"}}", "dotted"},
             Case{"{{len .items}} {{len .kind}}", "3 4"},
             Case{"{{- /* a comment */ -}}\n  x  {{- .kind -}}  y", "xListy"},
             Case{"{{printf \"%-5s|%5d|%05d|%.1f|%q|%v|%t\" .kind 42 7 2.25 \"a\" .kind true}}",
                  "List |   42|00007|2.2|\"a\"|List|true"},
             Case{"{{$n := 0}}{{range .items}}{{$n = .spec.order}}{{end}}{{$n}}", "3.5"},
             Case{"{{.kind | printf \"%s-%s\" \"x\"}}", "x-List"},
             Case{"{{and .kind .absent}} {{or .absent .kind}} {{not .absent}}", "<no value> List true"},
             Case{"{{eq .kind \"a\" \"List\"}} {{ne 1 1.0}} {{lt 2 10}} {{ge \"b\" \"a\"}}", "true false true true"},
             Case{"{{(index .items 0).spec.ports}} {{(index .items 0).metadata.labels}}",
                  "[80 443] map[a.b/c:dotted app:web]"},
             Case{"{{join (index .items 0).spec.ports \", \"}}", "80, 443"},
             Case{"{{.absent.deeper}}", "<no value>"},
             Case{"{{println .kind 1}}{{print 1 2 \"x\" 3}}", "List 1\n1 2x3"},
             Case{"{{`raw\\n`}}{{\"\\\"q\\\"\\n\"}}", "raw\\n\"q\"\n"},
             Case{"{{exists .items 0}}{{base64decode \"aGk=\"}}", "truehi"},
             Case{"{{if and (eq .kind \"List\") (or .absent true)}}yes{{end}}", "yes"},
             Case{"{{join (index .items 0).metadata.labels \",\"}} {{join .kind \",\"}} {{join .absent \",\"}}",
                  "a.b/c=dotted,app=web List "},
             Case{"{{joinAndTruncate (index .items 0).spec.ports \",\" 5}} "
                  "{{joinAndTruncate (index .items 0).metadata.labels \",\" 10}}",
                  "80... a.b/c=d..."},
             // Go's names, as calicoctl's templates have them
             Case{"{{range .Items}}{{.ObjectMeta.Name}}={{.Spec.Order}} {{end}}", "a=100 b=20 c=3.5 "},
             Case{"{{range .Items}}{{.Name}}:{{join .Labels \",\"}}:{{.Spec.Note}} {{end}}{{.TypeMeta.Kind}}",
                  "a:a.b/c=dotted,app=web: b:app=db:say \"hi\" c:: List"},
             Case{"{{.metadata.Name}}{{.Items.x}}",
                  "! there is no field x in [map[metadata:map[labels:map[a.b/c:dotted app:web] name:a] s"},
             Case{"{{(index .items 0).metadata.labels.App}}", "<no value>"},
         }) {
        CAPTURE(text);
        CHECK(print<GoTemplate>(text) == printed);
    }
}

TEST_CASE("what a Go template holds that is not known is named") {
    for (const auto& [text, problem] : {
             Case{"{{.kind", "a {{ has no }}"},
             Case{"{{range .items}}", "a range, if or with has no {{end}}"},
             Case{"{{end}}", "no range, if or with is open in {{end}}"},
             Case{"{{nope .kind}}", "'nope' is not known; there are the functions and, or, not"},
             Case{"{{define \"x\"}}{{end}}", "'define' is not supported in {{define \"x\"}}"},
             Case{"{{template \"x\"}}", "'template' is not supported"},
             Case{"{{break}}", "no range is open"},
             Case{"{{$x}}", "the variable $x is not known"},
             Case{"{{.items.name}}", "there is no field name in [map["},
             Case{"{{index .items 9}}", "index: there is no 9 in"},
             Case{"{{len 3}}", "len: 3 has no length"},
             Case{"{{printf \"%d\"}}", "printf: there are fewer values"},
             Case{"{{printf \"%d\" .kind}}", "printf: %d takes a number, not 'List'"},
             Case{"{{printf \"%z\" 1}}", "printf: %z is not known"},
             Case{"{{eq .kind 1}}", "values of these types cannot be compared"},
             Case{"{{range .kind}}x{{end}}", "range takes a list or an object"},
             Case{"{{\"open}}", "a {{ has no }}"},
             Case{"{{.kind .kind}}", "only a function takes arguments"},
             Case{"{{if .a}}{{else}}{{else}}{{end}}", "a second else"},
             Case{"{{}}", "expected a value"},
         }) {
        CAPTURE(text);
        const std::string printed = print<GoTemplate>(text);
        CAPTURE(printed);
        CHECK(printed.starts_with("! " + std::string(problem)));
    }
    std::string deep;
    for (int i = 0; i < 1000; ++i) {
        deep += "{{if .kind}}";
    }
    CHECK(print<GoTemplate>(deep) == "! too many blocks in one another");
    CHECK(print<GoTemplate>("{{" + std::string(1000, '(') + "}}").starts_with("! too many parentheses"));
}

TEST_CASE("unified diffs are those of diff -u") {
    const std::string before = "1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n11\n12\n13\n14\n15\n";
    CHECK(unified_diff(before, before, "a", "b").empty());
    std::string after = before;
    after.replace(after.find("2\n"), 2, "two\nmore\n");
    after.erase(after.find("15\n"));
    CHECK(unified_diff(before, after, "a", "b") ==
          "--- a\n+++ b\n@@ -1,5 +1,6 @@\n 1\n-2\n+two\n+more\n 3\n 4\n 5\n@@ -12,4 +13,3 @@\n 12\n 13\n 14\n-15\n");
    CHECK(unified_diff("", "x\n", "/dev/null", "b") == "--- /dev/null\n+++ b\n@@ -0,0 +1 @@\n+x\n");
    CHECK(unified_diff("x\n", "", "a", "b") == "--- a\n+++ b\n@@ -1 +0,0 @@\n-x\n");
    CHECK(unified_diff("a\nb\nc\nd\ne\nf\ng\n", "A\nb\nc\nd\ne\nf\nG\n", "a", "b") ==
          "--- a\n+++ b\n@@ -1,7 +1,7 @@\n-a\n+A\n b\n c\n d\n e\n f\n-g\n+G\n");
    CHECK(coloured_diff("--- a\n-x\n+y\n z\n") == "\x1b[1m--- a\x1b[0m\n\x1b[31m-x\x1b[0m\n\x1b[32m+y\x1b[0m\n z\n");
    std::string many;
    std::string others;
    for (int i = 0; i < 6000; ++i) {
        many += "old " + std::to_string(i) + "\n";
        others += "new " + std::to_string(i) + "\n";
    }
    const std::string all = unified_diff(many, others, "a", "b");  // too many to compare: all are replaced
    CHECK(all.starts_with("--- a\n+++ b\n@@ -1,6000 +1,6000 @@\n-old 0\n-old 1\n"));
    CHECK(all.ends_with("+new 5999\n"));
}
