// `openclaw tunnel ...` runs openclaw-tunnel: arguments, streams, signals and exit code are the program's own.

import { spawn } from "node:child_process";
import { accessSync, constants, readFileSync } from "node:fs";
import { constants as system } from "node:os";

const COMMAND = "tunnel";
const PROGRAM = "openclaw-tunnel";
const ABOUT = "Keep an SSH tunnel to a gateway open (openclaw-tunnel)";
const NOT_FOUND = 127;

// The path that `openclaw-tunnel link` wrote down.
function writtenPath() {
  try {
    return JSON.parse(readFileSync(new URL("./program.json", import.meta.url), "utf8")).program;
  } catch {
    return "";
  }
}

// That path; where nothing is there any more, the program on PATH.
function findProgram(written) {
  try {
    accessSync(written, constants.X_OK);
    return written;
  } catch {
    return PROGRAM;
  }
}

// Everything behind the command's name, as it was typed: Commander keeps some options for itself (--no-color).
// `openclaw help tunnel up` asks for help, too, and must not open anything.
function givenArguments() {
  const at = process.argv.indexOf(COMMAND, 2);
  if (at < 0) {
    return [];
  }
  const given = process.argv.slice(at + 1);
  return process.argv[at - 1] === "help" ? [...given, "--help"] : given;
}

// Ctrl-C reaches the program from the terminal itself; a second one from here would mean "at once".
function forwardSignals(child) {
  const onTerminal = process.stdin.isTTY || process.stdout.isTTY;
  const forwarded = onTerminal ? ["SIGTERM", "SIGHUP"] : ["SIGINT", "SIGTERM", "SIGHUP"];
  for (const name of forwarded) {
    process.on(name, () => child.kill(name));
  }
  if (onTerminal) {
    process.on("SIGINT", () => {});
  }
}

// process.kill(process.pid, signal) would not do: OpenClaw has handlers of its own, and the exit code would be 0.
function codeOf(code, signal) {
  return signal ? 128 + system.signals[signal] : code;
}

function run() {
  const written = writtenPath();
  return new Promise((resolve) => {
    const child = spawn(findProgram(written), givenArguments(), { stdio: "inherit" });
    forwardSignals(child);
    child.once("error", (error) => {
      const why = error.code === "ENOENT" ? "it is gone, and none is on PATH" : error.message;
      const next = `install ${PROGRAM}, then: ${PROGRAM} link`;
      process.stderr.write(`error: ${written || PROGRAM} cannot be run: ${why}\n\nhint: ${next}\n`);
      process.exitCode = NOT_FOUND;
      resolve();
    });
    child.once("exit", (code, signal) => {
      process.exitCode = codeOf(code, signal);
      resolve();
    });
  });
}

export default {
  id: PROGRAM,
  name: "OpenClaw Tunnel",
  description: ABOUT,
  register(api) {
    api.registerCli(
      ({ program }) => {
        program
          .command(`${COMMAND} [args...]`)
          .description(ABOUT)
          .helpOption(false)
          .allowUnknownOption(true)
          .allowExcessArguments(true)
          .passThroughOptions(true)
          .action(run);
      },
      {
        descriptors: [
          {
            name: COMMAND,
            description: ABOUT,
            hasSubcommands: true,
            // What a pipe gets is the program's alone.
            machineOutput: ({ argv, stdoutIsTTY }) => !stdoutIsTTY || argv.includes("--json"),
          },
        ],
      },
    );
  },
};
