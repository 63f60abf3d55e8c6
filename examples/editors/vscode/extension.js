// Starts `svcctl lsp` for the HCL files of a window, and ends it with the window.
const { workspace } = require("vscode");
const { LanguageClient, TransportKind } = require("vscode-languageclient/node");

let client;

exports.activate = () => {
  const options = workspace.getConfiguration("svcctl");
  client = new LanguageClient(
    "svcctl",
    { command: options.get("path"), args: ["lsp"], transport: TransportKind.stdio },
    {
      documentSelector: [{ scheme: "file", language: "hcl" }],
      initializationOptions: { root: options.get("root"), cluster: options.get("cluster"), notes: options.get("notes") },
    },
  );
  return client.start();
};

exports.deactivate = () => client && client.stop();
