// SPDX-License-Identifier: Apache-2.0
//
// The command line of socktale: flags and nothing else. Each command is a CLI::App of its own, chosen by the first
// word, so that arguments that happen to be called like a command ("socktale run ls") stay arguments.

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "viewer/cli/arguments.h"
#include "viewer/cli/collect.h"
#include "viewer/cli/common.h"
#include "viewer/cli/conns.h"
#include "viewer/cli/demo.h"
#include "viewer/cli/doctor.h"
#include "viewer/cli/env.h"
#include "viewer/cli/fds.h"
#include "viewer/cli/follow.h"
#include "viewer/cli/format.h"
#include "viewer/cli/help.h"
#include "viewer/cli/info.h"
#include "viewer/cli/ls.h"
#include "viewer/cli/run.h"
#include "viewer/cli/show.h"
#include "viewer/cli/usage.h"
#include "viewer/cli/version.h"
#include "viewer/names/printable.h"

namespace socktale {
namespace {

using Action = std::function<int()>;

// ---- Commands -------------------------------------------------------------------------------------------------

Action AddRun(CLI::App& app, CommonOptions& common) {
  auto options = std::make_shared<RunOptions>();
  auto live = std::make_shared<std::string>();
  app.positionals_at_end();  // from the first word that is no option on, everything is CMD's
  app.add_option("CMD", options->command, "the program and its arguments")->required();
  std::vector<CLI::Option*> of_own_trace = {
      app.add_option("-o,--output", common.output, "the trace: a path, with %c command %p pid %t time %h host")
          ->type_name("FILE"),
      app.add_flag("-l{-},--live{-}", *live, "also print events as they happen, to stderr or --live=FILE")};
  for (CLI::Option* option : AddRecording(app, options->recording)) of_own_trace.push_back(option);
  of_own_trace.push_back(AddChoice(app, "--keep", {{"always", std::string("always")}, {"fail", std::string("fail")}},
                                   options->keep, "fail: drop the trace if CMD exits 0"));
  AddSwitch(app, "--force", options->force, "run CMD even if it cannot be recorded");
  of_own_trace.push_back(
      AddSwitch(app, "--strict", options->strict, "exit 125 when anything is missing from the trace"));
  CLI::Option* into = app.add_option("--into", options->into, "record into a running `collect`")->type_name("NAME");
  for (CLI::Option* option : of_own_trace) option->excludes(into);
  AddQuiet(app, common);
  return [options, live, &common] {
    options->live = !live->empty();
    if (*live != "-") options->live_file = *live;
    return RunRun(*options, common);
  };
}

Action AddCollect(CLI::App& app, CommonOptions& common) {
  auto options = std::make_shared<CollectOptions>();
  app.add_option("-o,--output", common.output, "the trace: a path, with %c %p %t %h as in `run`")->type_name("FILE");
  app.add_option("--name", options->name, "what `--into` calls this recording")->type_name("NAME");
  AddRecording(app, options->recording);
  AddQuiet(app, common);
  return [options, &common] { return RunCollect(*options, common); };
}

Action AddEnv(CLI::App& app, CommonOptions& common) {
  auto options = std::make_shared<EnvOptions>();
  const std::tuple<const char*, EnvForm, const char*> forms[] = {
      {"--sh", EnvForm::kShell, "export lines, for a shell's eval"},
      {"--docker", EnvForm::kDocker, "options of `docker run`"},
      {"--systemd", EnvForm::kSystemd, "a drop-in for a systemd unit"},
      {"--json", EnvForm::kJson, "JSON"}};
  std::vector<CLI::Option*> flags;
  for (const auto& [name, form, help] : forms) {
    flags.push_back(app.add_flag_callback(
        name, [options, as = form] { options->form = as; }, help));
    for (size_t i = 0; i + 1 < flags.size(); ++i) flags.back()->excludes(flags[i]);
  }
  app.add_option("--into", options->into, "which `collect`; the only one or the latest if left out")->type_name("NAME");
  return [options, &common] { return RunEnv(*options, common); };
}

Action AddShow(CLI::App& app, CommonOptions& common) {
  auto options = std::make_shared<ShowOptions>();
  AddTrace(app, common, true);
  AddParsed(app, "-s,--payload-bytes", "N", ParseCount, options->payload_bytes, "bytes of payload shown [32]");
  AddSwitch(app, "-x,--hex", options->hex, "payload as hexadecimal");
  AddSwitch(app, "-l,--live", options->live, "keep reading while the trace grows");
  AddLimit(app, common, "at most N events");
  AddRange(app, common);
  AddTimeForm(app, common);
  AddDisplay(app, common);
  return [options, &common] { return RunShow(*options, common); };
}

Action AddConns(CLI::App& app, CommonOptions& common) {
  auto options = std::make_shared<ConnsOptions>();
  AddTrace(app, common, true);
  AddChoice(app, "--group",
            {{"pair", ConnsGroup::kPair},
             {"peer", ConnsGroup::kPeer},
             {"process", ConnsGroup::kProcess},
             {"port", ConnsGroup::kPort}},
            options->group, "one line for all that have this in common");
  AddSwitch(app, "--wide", options->wide, "whole command lines, both addresses, descriptors");
  app.add_option("--sort", common.sort, "by a column (start life process peer sent recv wait end …); -KEY: descending")
      ->type_name("[-]KEY");
  AddColumns(app, common);
  AddLimit(app, common, "at most N lines");
  AddBytes(app, common);
  AddRange(app, common);
  AddTimeForm(app, common);
  AddDisplay(app, common);
  return [options, &common] { return RunConns(*options, common); };
}

Action AddFollow(CLI::App& app, CommonOptions& common) {
  auto options = std::make_shared<FollowOptions>();
  app.add_option("CONN", options->connections, "connections, as `conns` lists them: 17 or c17")->required();
  AddTrace(app, common, false);
  AddChoice(app, "--as",
            {{"auto", FollowAs::kAuto},
             {"text", FollowAs::kText},
             {"hex", FollowAs::kHex},
             {"raw", FollowAs::kRaw},
             {"json", FollowAs::kJson}},
            options->as, "payload: its beginning, all as text, as hex, as JSON; or the bytes alone");
  AddChoice(app, "--side", {{"client", FollowSide::kClient}, {"server", FollowSide::kServer}}, options->side,
            "only what this side sent");
  AddParsed(app, "--pauses", "DURATION", ParseDuration, options->pauses_ns, "tell quiet stretches from this length on");
  AddParsed(app, "--lines", "N", ParseCount, options->lines,
            "payload lines per transfer, 0: all [2 with --as auto, else all]");
  AddBytes(app, common);
  AddRange(app, common);
  AddTimeForm(app, common);
  AddDisplay(app, common);
  return [options, &common] { return RunFollow(*options, common); };
}

Action AddFds(CLI::App& app, CommonOptions& common) {
  auto options = std::make_shared<FdsOptions>();
  app.add_option("PROCESS", options->process, "a pid or a name; all processes if left out");
  AddTrace(app, common, false);
  app.add_option("--at", options->at, "a time, `peak` (most open) or `end`")->type_name("T|peak|end");
  AddColumns(app, common);
  AddLimit(app, common, "at most N processes");
  AddTimeForm(app, common);
  AddDisplay(app, common);
  return [options, &common] { return RunFds(*options, common); };
}

Action AddInfo(CLI::App& app, CommonOptions& common) {
  auto options = std::make_shared<InfoOptions>();
  AddTrace(app, common, true);
  AddSwitch(app, "--strict", options->strict, "exit 1 when anything is missing from the trace");
  AddSwitch(app, "--verify", options->verify, "read and check every block, of large traces, too");
  AddBytes(app, common);
  AddDisplay(app, common);
  return [options, &common] { return RunInfo(*options, common); };
}

Action AddLs(CLI::App& app, CommonOptions& common) {
  AddLimit(app, common, "at most N traces");
  AddColumns(app, common);
  AddBytes(app, common);
  AddDisplay(app, common);
  return [&common] { return RunLs({}, common); };
}

Action AddDoctor(CLI::App& app, CommonOptions& common) {
  auto options = std::make_shared<DoctorOptions>();
  app.positionals_at_end();
  app.add_option("TARGET", options->target, "a command or a pid; the installation if left out");
  AddDisplay(app, common);
  return [options, &common] { return RunDoctor(*options, common); };
}

Action AddDemo(CLI::App& app, CommonOptions& common) {
  AddQuiet(app, common);
  return [&common] { return RunDemo({}, common); };
}

Action AddVersion(CLI::App& app, CommonOptions& common) {
  AddSwitch(app, "--json", common.json, "JSON");
  return [&common] { return RunVersion({}, common); };
}

Action AddHelp(CLI::App& app, CommonOptions& common);

struct Command {
  const char* name;
  const char* summary;
  Action (*add)(CLI::App&, CommonOptions&);
};

constexpr Command kCommands[] = {
    {"run", "Run a program and record what it and its children do with their sockets.", AddRun},
    {"collect", "Gather several programs, started elsewhere, in one trace. Ctrl-C ends it.", AddCollect},
    {"env", "Print the settings that make a program record into a running `collect`.", AddEnv},
    {"show", "Show the calls of a trace as text, one a line.", AddShow},
    {"conns", "List connections: who with whom, how much, how long, how it ended.", AddConns},
    {"follow", "Tell the conversation on one or several connections, both ends side by side.", AddFollow},
    {"fds", "List descriptors: what is open, and where the other end is.", AddFds},
    {"ls", "List the traces there are, newest first.", AddLs},
    {"info", "Say what a trace is, what it holds and what it does not.", AddInfo},
    {"doctor", "Say whether a program can be recorded, what will be missing, and why.", AddDoctor},
    {"demo", "Record a small client and server and walk through what the trace tells.", AddDemo},
    {"version", "Print the version, and the formats it knows.", AddVersion},
    {"help", "Print the manual of a command.", AddHelp},
};

const Command* Find(std::string_view name) {
  for (const Command& command : kCommands) {
    if (name == command.name) return &command;
  }
  return nullptr;
}

// A command's CLI::App with its options; `common` and the options live as long as the action.
std::unique_ptr<CLI::App> MakeApp(const Command& command, CommonOptions& common, Action& action) {
  auto app = std::make_unique<CLI::App>(command.summary, absl::StrCat("socktale ", command.name));
  app->set_help_flag("-h", "this screen");
  app->set_help_all_flag("--help", "the manual");
  app->formatter(std::make_shared<ShortHelpFormatter>());
  app->get_formatter()->column_width(26);
  app->get_formatter()->label("OPTIONS", "options");
  action = command.add(*app, common);
  return app;
}

std::string ShortHelp(const Command& command) {
  CommonOptions common;
  Action action;
  return MakeApp(command, common, action)->help();
}

// The command that `word` may have meant; empty: none is near.
std::string NearestCommand(const std::string& word) {
  std::vector<std::string> names;
  for (const Command& command : kCommands) names.push_back(command.name);
  return NearestWord(word, names);
}

// "'conn' is not a socktale command", with the one that may be meant, else how to trace it. arguments: the words
// behind.
int UnknownCommand(const std::string& word, const std::vector<std::string>& arguments) {
  std::string message = absl::StrCat("'", Printable(word), "' is not a socktale command. ");
  if (const std::string nearest = NearestCommand(word); !nearest.empty()) {
    absl::StrAppend(&message, "Did you mean ", nearest, "?");
  } else {
    absl::StrAppend(&message, "To trace it: socktale run ", ShellQuote(word));
    for (const std::string& argument : arguments) absl::StrAppend(&message, " ", ShellQuote(argument));
  }
  std::fprintf(stderr, "%s\n", message.c_str());
  return kExitTrouble;
}

Action AddHelp(CLI::App& app, CommonOptions& common) {
  auto name = std::make_shared<std::string>();
  app.add_option("COMMAND", *name, "the command; an overview if left out");
  return [name, &common] {
    if (name->empty()) return PrintHelp(Overview());
    const Command* command = Find(*name);
    if (command == nullptr) {
      const std::string nearest = NearestCommand(*name);
      return Trouble(absl::StrCat("there is no command '", Printable(*name), "'",
                                  nearest.empty() ? "; socktale help lists them" : ". Did you mean ", nearest,
                                  nearest.empty() ? "" : "?"));
    }
    return RunHelp({.command = command->name, .short_help = ShortHelp(*command)}, common);
  };
}

int WrongUsage(const Command& command, const std::string& words) {
  std::fprintf(stderr, "socktale %s: %s\nsocktale %s -h shows what it takes\n", command.name, words.c_str(),
               command.name);
  return kExitTrouble;
}

int RunCommand(const Command& command, std::vector<std::string> arguments) {
  CommonOptions common;
  Action action;
  const std::unique_ptr<CLI::App> app = MakeApp(command, common, action);
  std::reverse(arguments.begin(), arguments.end());  // CLI11 takes them from the back
  try {
    app->parse(std::move(arguments));
  } catch (const CLI::CallForAllHelp&) {
    return RunHelp({.command = command.name, .short_help = app->help()}, common);
  } catch (const CLI::CallForHelp&) {
    return PrintHelp(app->help());
  } catch (const CLI::ParseError& error) {
    return WrongUsage(command, UsageInWords(*app, error));
  }
  if (common.from_ns > common.to_ns) return WrongUsage(command, "--from is later than --to: nothing lies between");
  const std::string_view name = command.name;
  if (name != "help" && name != "version") RecoverAndTell(common);  // so that its trace is whole when it is looked at
  return action();
}

int Main(std::vector<std::string> words) {
  if (words.empty() || words.front() == "-h") return PrintHelp(Overview());
  const std::string first = words.front();
  if (first == "--") return RunCommand(*Find("run"), std::move(words));
  const std::vector<std::string> rest(words.begin() + 1, words.end());
  if (first == "--help") return RunHelp({.command = "", .short_help = Overview()}, {});
  if (first == "--version") return RunCommand(*Find("version"), rest);
  if (const Command* command = Find(first); command != nullptr) return RunCommand(*command, rest);
  if (absl::StartsWith(first, "-")) {
    std::fprintf(stderr, "socktale: unknown option '%s'; options stand behind the command: socktale COMMAND %s\n",
                 Printable(first).c_str(), Printable(first).c_str());
    return kExitTrouble;
  }
  return UnknownCommand(first, rest);
}

}  // namespace
}  // namespace socktale

int main(int argc, char** argv) { return socktale::Main({argv + 1, argv + argc}); }
