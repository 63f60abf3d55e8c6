-- A session of a user of Neovim: what was seen is written as one JSON array a line.
-- SVCCTL is the program, SET a copy of testdata/set, OUT the file for what was seen.
local set, out = vim.env.SET, assert(io.open(vim.env.OUT, "w"))
local deadline = 30000 -- ms; each wait ends as soon as what it waits for is there

local function tell(step, value)
  out:write(vim.json.encode({ step, value }), "\n")
  out:flush()
end

local function await(what, condition)
  if not vim.wait(deadline, condition, 10) then
    tell("waited too long", what)
    vim.cmd("cquit 1")
  end
end

local exited
local client = vim.lsp.start_client({
  name = "svcctl",
  cmd = { vim.env.SVCCTL, "lsp", "--stdio" },
  root_dir = set,
  workspace_folders = { { uri = vim.uri_from_fname(set), name = "set" } },
  on_exit = function(code) exited = code end,
})

local function open(name)
  vim.cmd("edit " .. set .. "/" .. name)
  vim.bo.filetype = "hcl"
  vim.lsp.buf_attach_client(0, client)
  return vim.api.nvim_get_current_buf()
end

local function seen(buffer)
  local found = {}
  for _, d in ipairs(vim.diagnostic.get(buffer)) do
    table.insert(found, string.format("%d:%d-%d:%d %s %s", d.lnum + 1, d.col + 1, d.end_lnum + 1, d.end_col + 1,
      d.code or d.user_data.lsp.code, vim.split(d.message, "\n")[1]))
  end
  return found
end

local function request(buffer, method, params)
  local answer = assert(vim.lsp.buf_request_sync(buffer, method, params, deadline))[client]
  assert(answer, method .. ": no answer")
  if answer.error then return { error = answer.error.message } end
  return answer.result
end

-- at is the place behind the first occurrence of a text, which may hold no pattern.
local function at(buffer, text)
  for i, line in ipairs(vim.api.nvim_buf_get_lines(buffer, 0, -1, true)) do
    local _, e = line:find(text, 1, true)
    if e then
      return {
        textDocument = { uri = vim.uri_from_bufnr(buffer) },
        position = { line = i - 1, character = vim.str_utfindex(line, e) and select(2, vim.str_utfindex(line, e)) },
      }
    end
  end
  error("no " .. text)
end

-- take_back removes the lines that were typed before the last one.
local function take_back(lines) vim.api.nvim_buf_set_lines(0, -2 - lines, -2, true, {}) end

local function text(buffer) return table.concat(vim.api.nvim_buf_get_lines(buffer, 0, -1, true), "\n") end

-- A mistake is shown at its token, behind characters that UTF-16 counts otherwise.
local orders = open("orders.hcl")
await("the first findings", function() return #vim.diagnostic.get(orders) > 0 end)
tell("opened", seen(orders))

-- What mends it is offered and can be applied; the finding goes.
local place = at(orders, "intrface")
local actions = request(orders, "textDocument/codeAction",
  { textDocument = place.textDocument, range = { start = place.position, ["end"] = place.position }, context = { diagnostics = {} } })
tell("offered", vim.tbl_map(function(a) return a.title end, actions))
vim.lsp.util.apply_workspace_edit(actions[1].edit, "utf-16")
await("no findings", function() return #vim.diagnostic.get(orders) == 0 end)
tell("mended", seen(orders))

-- Another mistake appears while it is typed, and goes when it is taken back.
vim.api.nvim_buf_set_lines(orders, -2, -2, true, { "  app \"late\" {", "    comand = [\"/bin/true\"]", "  }" })
await("a finding", function() return #vim.diagnostic.get(orders) > 0 end)
tell("typed", seen(orders))
take_back(3)
await("no findings", function() return #vim.diagnostic.get(orders) == 0 end)

tell("hover of an argument", request(orders, "textDocument/hover", at(orders, "interfac")).contents.value)
tell("hover of a value", request(orders, "textDocument/hover", at(orders, "var.li")).contents.value)

-- A half-written line.
vim.api.nvim_buf_set_lines(orders, -2, -2, true, { "  app \"half\" {", "    cw" })
local labels = {}
for _, item in ipairs(request(orders, "textDocument/completion", at(orders, "    cw")).items) do
  if vim.startswith(item.label, "cw") or item.label == "command" then table.insert(labels, item.label .. " -> " .. item.textEdit.newText) end
end
tell("completed", labels)
take_back(2)

local where = request(orders, "textDocument/definition", at(orders, "var.li"))
tell("defined", string.format("%s:%d:%d", vim.fn.fnamemodify(vim.uri_to_fname(where.uri), ":t"), where.range.start.line + 1, where.range.start.character + 1))
tell("read", vim.tbl_map(function(l)
  return string.format("%s:%d", vim.fn.fnamemodify(vim.uri_to_fname(l.uri), ":t"), l.range.start.line + 1)
end, request(orders, "textDocument/references", vim.tbl_extend("force", at(orders, "var.li"), { context = { includeDeclaration = true } }))))

-- Over two files, one of which was not open.
tell("refused", request(orders, "textDocument/rename", vim.tbl_extend("force", at(orders, "var.li"), { newName = "no name" })).error)
local edit = request(orders, "textDocument/rename", vim.tbl_extend("force", at(orders, "var.li"), { newName = "address" }))
vim.lsp.util.apply_workspace_edit(edit, "utf-16")
local values = vim.fn.bufnr(set .. "/values.hcl")
tell("renamed", { vim.fn.getbufline(values, 1)[1], text(orders):match("listen = ([^\n]+)") })

vim.lsp.util.apply_text_edits(request(orders, "textDocument/formatting",
  { textDocument = { uri = vim.uri_from_bufnr(orders) }, options = { tabSize = 2, insertSpaces = true } }), orders, "utf-16")
tell("formatted", vim.split(text(orders), "\n"))

local symbols = {}
for _, s in ipairs(request(orders, "textDocument/documentSymbol", { textDocument = { uri = vim.uri_from_bufnr(orders) } })) do
  table.insert(symbols, s.name)
  for _, child in ipairs(s.children or {}) do table.insert(symbols, s.name .. "/" .. child.name) end
end
tell("symbols", symbols)

vim.cmd("silent wall")
vim.cmd("silent bwipeout " .. orders)
vim.lsp.get_client_by_id(client).stop()
await("the end", function() return exited ~= nil end)
tell("exit code", exited)
out:close()
vim.cmd("qall!")
