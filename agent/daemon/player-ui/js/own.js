/* The school's own lessons, made on the board in four steps: files, words, making, done; from there written on a disk for the
   school's other boards. Asks `api/own-lessons`; only on the board's own screen. */
(function () {
  'use strict';
  var BBT = window.BBT;
  var h = BBT.h, t = BBT.t;
  var BUSY_MS = 1000, IDLE_MS = 4000;
  var OFFICE = /\.(pptx?|ppsx?|docx?|xlsx?|wps|dps|et)$/i;
  var STEPS = 4;

  function said(note) { return BBT.language === 'en' ? note.en : note.zh; }
  function stem(name) { return name.replace(/\.[^.]*$/, '').replace(/^\d+[-_. \u3001]+/, ''); }
  function readable(part) {
    try { return decodeURIComponent(part); } catch (e) { return part; }
  }

  function chip(text, on, press) {
    return h('button', { type: 'button', 'class': 'own-chip' + (on ? ' own-chip-on' : ''), 'aria-pressed': on ? 'true' : 'false', onclick: press }, [h('span', { text: text })]);
  }

  BBT.view('own', function () {
    var head = h('header', { 'class': 'own-head' }), body = h('main', { 'class': 'own-main' });
    var el = h('div', { 'class': 'view view-own' }, [head, body]);
    var back = BBT.backButton(), end = h('div', { 'class': 'dock-end' });
    var state = null, failed = false, step = 'list', timer = null, ended = false, drawn = '', asking = false;
    /* The lesson that is being made up. */
    var draft = null;
    var disks = [], listing = null, disk = '', dir = '', sure = '', writing = '';
    var words = '', bad = false, input = null, keys = null;

    function tell(ok, text) { bad = !ok; words = text || ''; }

    function fresh(again) {
      draft = { files: [], title: again ? again.title : '', subject: again ? again.subject : '', grade: again ? again.grade : '', lesson: again ? again.id : null, typed: !!again };
    }

    function refresh() {
      window.clearTimeout(timer);
      BBT.api.get('api/own-lessons', function (ok, answer) {
        if (ended) { return; }
        failed = !ok;
        if (ok) { state = answer; }
        if (state && !state.making && (step === 'making' || step === 'writing')) { finished(); }
        draw();
        timer = window.setTimeout(refresh, state && state.making ? BUSY_MS : IDLE_MS);
      });
    }

    /* What was begun is over, well or badly: the agent's note says which. */
    function finished() {
      var note = state.note;
      var good = note && !note.problem;
      tell(good, note ? said(note) : '');
      if (step === 'writing') { step = 'done'; return; }
      step = good && state.made ? 'done' : 'words';
    }

    function post(path, sent, good) {
      if (asking) { return; }
      asking = true;
      draw();
      BBT.api.post(path, sent, function (ok, answer) {
        asking = false;
        if (ended) { return; }
        tell(ok, BBT.api.words(answer));
        if (ok) { good(); }
        refresh();
      });
    }

    function look() {
      BBT.api.get('api/disks', function (ok, answer) {
        if (ended) { return; }
        disks = ok && answer && answer.disks ? answer.disks.filter(function (one) { return one.files; }) : [];
        if (!disks.some(function (one) { return one.id === disk; })) { disk = disks.length ? disks[0].id : ''; dir = ''; listing = null; }
        if (disk && step === 'files') { open(dir); } else { draw(); }
      });
    }

    function open(where) {
      dir = where;
      listing = null;
      draw();
      BBT.api.get('api/disks/' + encodeURIComponent(disk) + '/files?dir=' + dir, function (ok, answer) {
        if (ended) { return; }
        listing = ok && answer && answer.entries ? answer.entries : [];
        if (!ok) { tell(false, BBT.api.words(answer)); }
        draw();
      });
    }

    function begin(again) {
      fresh(again);
      tell(true, '');
      step = 'files';
      look();
    }

    function pathOf(entry) { return (dir ? dir.replace(/\/$/, '') + '/' : '') + encodeURIComponent(entry.name); }
    function isOurs(entry) { return entry.kind !== 'dir' && (!!entry.url || OFFICE.test(entry.name)); }
    function placeOf(path) {
      var i;
      for (i = 0; i < draft.files.length; i += 1) { if (draft.files[i].path === path) { return i; } }
      return -1;
    }

    function choose(entry) {
      var path = pathOf(entry), at = placeOf(path);
      if (at >= 0) { draft.files.splice(at, 1); } else if (draft.files.length < state.limits.files) { draft.files.push({ path: path, name: entry.name, size: entry.size }); }
      draw();
    }

    function fileRow(entry) {
      var folder = entry.kind === 'dir', ours = isOurs(entry), at = folder ? -1 : placeOf(pathOf(entry));
      var icon = folder ? 'folder' : entry.url ? entry.kind : OFFICE.test(entry.name) ? 'office' : 'other';
      var inside = [
        h('span', { 'class': 'usb-icon item-icon-' + icon }, [at >= 0 ? h('strong', { text: String(at + 1) }) : BBT.icon(icon)]),
        h('span', { 'class': 'usb-name', text: entry.name }),
        h('span', { 'class': 'usb-size', text: folder ? '' : ours ? BBT.bytes(entry.size) : t('own.not_shown') })
      ];
      if (!folder && !ours) { return h('div', { 'class': 'usb-row usb-other' }, inside); }
      return h('button', {
        type: 'button', 'class': 'usb-row own-file' + (at >= 0 ? ' own-chosen' : ''), 'aria-pressed': folder ? null : at >= 0 ? 'true' : 'false',
        onclick: function () { if (folder) { open(entry.dir || pathOf(entry)); } else { choose(entry); } }
      }, inside);
    }

    function bytesOf() { return draft.files.reduce(function (sum, file) { return sum + (file.size || 0); }, 0); }

    function drawFiles() {
      var path = [], known = disks.filter(function (one) { return one.id === disk; })[0];
      if (!disks.length) {
        return [BBT.message({ icon: 'usb', title: t('own.no_disk'), text: t('own.no_disk_text'), button: BBT.button({ icon: 'again', text: t('own.look'), onclick: look }) })];
      }
      if (disks.length > 1) {
        path = disks.map(function (one) { return chip(one.name, one.id === disk, function () { disk = one.id; draft.files = []; open(''); }); });
      } else {
        path = [h('button', { type: 'button', 'class': 'usb-step', onclick: function () { open(''); } }, [h('span', { text: known ? known.name : '' })])];
      }
      dir.split('/').filter(Boolean).forEach(function (part, i, all) {
        path.push(BBT.icon('chevron'));
        path.push(h('button', { type: 'button', 'class': 'usb-step', onclick: function () { open(all.slice(0, i + 1).join('/')); } }, [h('span', { text: readable(part) })]));
      });
      return [
        h('nav', { 'class': 'own-path' }, path),
        h('div', { 'class': 'usb-rows own-rows' }, listing === null ? [h('p', { 'class': 'own-wait', text: t('shelf.loading') })]
          : listing.length ? listing.map(fileRow) : [h('p', { 'class': 'own-wait', text: t('own.empty_folder') })])
      ];
    }

    function titles() {
      var found = [], folder = dir.split('/').filter(Boolean).pop();
      if (folder) { found.push(readable(folder)); }
      draft.files.forEach(function (file) {
        var one = stem(file.name).slice(0, state.limits.chars);
        if (one && found.indexOf(one) < 0) { found.push(one); }
      });
      return found.slice(0, 6);
    }

    function setTitle(text) {
      draft.title = text.slice(0, state.limits.chars);
      draft.typed = true;
      if (input) { input.value = draft.title; }
      dock();
    }

    function drawWords() {
      var subjects = BBT.subjects.map(function (one) { return one.name; });
      input = h('input', {
        'class': 'own-input', type: 'text', maxlength: state.limits.chars, autocomplete: 'off', autocapitalize: 'off', spellcheck: 'false',
        'aria-label': t('own.title_label'), oninput: function () { draft.title = input.value; draft.typed = true; dock(); }
      });
      input.value = draft.title;
      /* One for the whole page: letters that are not chosen yet outlive a drawing. */
      keys = keys || BBT.keyboard({
        chinese: BBT.language !== 'en',
        onkey: function (letter) { setTitle(draft.title + letter); },
        ondelete: function () { setTitle(draft.title.slice(0, -1)); },
        onclear: function () { setTitle(''); }
      });
      return [h('div', { 'class': 'own-words' }, [
        h('section', { 'class': 'own-part own-part-title' }, [
          h('h2', { text: t('own.title_label') }), input,
          h('div', { 'class': 'own-chips' }, titles().map(function (one) { return chip(one, one === draft.title, function () { setTitle(one); draw(true); }); })),
          keys
        ]),
        h('section', { 'class': 'own-part' }, [
          h('h2', { text: t('own.subject_label') }),
          h('div', { 'class': 'own-chips' }, subjects.map(function (one) {
            return chip(one, one === draft.subject, function () { draft.subject = one; draw(true); });
          })),
          h('h2', { text: t('own.grade_label') }),
          h('div', { 'class': 'own-chips' }, BBT.grades.map(function (one) {
            return chip(one, one === draft.grade, function () { draft.grade = draft.grade === one ? '' : one; draw(true); });
          }))
        ])
      ])];
    }

    function drawMaking() {
      var making = state && state.making, done = making ? making.done_bytes : 0, total = making ? making.total_bytes : 0;
      var fill = h('div', { 'class': 'progress-fill' });
      fill.style.width = Math.min(100, 100 * done / Math.max(1, total)) + '%';
      return [BBT.message({
        icon: step === 'writing' ? 'usb' : 'own', title: t(step === 'writing' ? 'own.writing' : 'own.making', { title: making ? making.title : draft ? draft.title : '' }), text: t('own.leave_in'),
        more: h('div', { 'class': 'own-progress', role: 'progressbar', 'aria-valuemin': '0', 'aria-valuemax': '100', 'aria-valuenow': String(Math.floor(100 * done / Math.max(1, total))) }, [
          h('div', { 'class': 'progress' }, [fill]), h('p', { text: Math.floor(100 * Math.min(1, done / Math.max(1, total))) + '%' })
        ]),
        button: BBT.button({ text: t('own.stop'), onclick: function () { post('api/own-lessons/stop', {}, function () {}); } })
      })];
    }

    function writeTo(lesson, one) {
      writing = lesson;
      post('api/own-lessons/' + encodeURIComponent(lesson) + '/write', { disk: one }, function () { step = 'writing'; });
    }

    function targets(lesson) {
      if (!disks.length) { return [BBT.button({ icon: 'usb', text: t('own.look'), onclick: look })]; }
      return disks.map(function (one) {
        return BBT.button({ icon: 'usb', text: disks.length > 1 ? t('own.write_to', { disk: one.name }) : t('own.write'), onclick: function () { writeTo(lesson, one.id); } });
      });
    }

    function drawDone() {
      var lesson = writing || state.made;
      return [BBT.message({
        icon: bad ? 'warn' : 'check', 'class': bad ? 'message-failed' : '', title: t(bad ? 'own.not_done' : 'own.done'), text: words,
        more: h('p', { 'class': 'own-author', text: t('own.author_' + state.author) }),
        button: h('div', { 'class': 'own-buttons' }, [
          BBT.button({ icon: 'play', text: t('own.open'), 'class': 'button-primary button-large', onclick: function () { BBT.go('#/lesson/' + encodeURIComponent(lesson)); } })
        ].concat(targets(lesson), [BBT.button({ text: t('own.to_list'), onclick: function () { step = 'list'; tell(true, ''); draw(); } })]))
      })];
    }

    function lessonRow(lesson) {
      var asks = sure === lesson.id;
      var place = [lesson.subject, lesson.grade, t('own.version', { n: lesson.version }), t('own.items', { n: lesson.items }), BBT.bytes(lesson.size_bytes)].filter(Boolean).join(' \u00b7 ');
      return h('div', { 'class': 'own-row' + (lesson.barred ? ' own-barred' : '') }, [
        h('span', { 'class': 'own-words-of' }, [
          h('strong', { text: lesson.title || lesson.id }),
          h('small', { text: asks ? t('own.sure') : lesson.barred ? t('own.barred') : place })
        ]),
        h('span', { 'class': 'own-row-buttons' }, asks ? [
          BBT.button({ text: t('own.remove_yes'), 'class': 'own-danger', onclick: function () { sure = ''; post('api/own-lessons/' + encodeURIComponent(lesson.id) + '/remove', {}, function () {}); } }),
          BBT.button({ text: t('pin.cancel'), onclick: function () { sure = ''; draw(); } })
        ] : [
          lesson.ready ? BBT.button({ icon: 'play', label: t('own.open'), onclick: function () { BBT.go('#/lesson/' + encodeURIComponent(lesson.id)); } }) : null,
          lesson.ready ? BBT.button({ icon: 'usb', label: t('own.write'), onclick: function () { writing = lesson.id; tell(true, ''); step = 'done'; words = t('own.write_hint', { title: lesson.title }); look(); draw(); } }) : null,
          BBT.button({ icon: 'again', label: t('own.renew'), onclick: function () { begin(lesson); } }),
          BBT.button({ icon: 'cross', label: t('own.remove'), onclick: function () { sure = lesson.id; draw(); } })
        ].filter(Boolean))
      ]);
    }

    function drawList() {
      if (!state.on_board) { return [BBT.message({ icon: 'lock', title: t('enrol.elsewhere_title'), text: t('own.elsewhere') })]; }
      if (!state.school) { return [BBT.message({ icon: 'own', title: t('own.no_school'), text: t('own.no_school_text') })]; }
      if (!state.lessons.length) { return [BBT.message({ icon: 'own', title: t('own.none'), text: t('own.none_text') })]; }
      return [h('p', { 'class': 'own-author', text: t('own.author_' + state.author) }), h('div', { 'class': 'own-list' }, state.lessons.map(lessonRow))];
    }

    function number() { return { files: 1, words: 2, making: 3, done: 4, writing: 4 }[step]; }

    function ready() { return draft.title.trim() !== '' && draft.subject !== ''; }

    /* Back goes one step back; the first leads out. */
    function up() {
      if (step === 'words') { step = 'files'; look(); } else if (step === 'files' && dir) { open(dir.split('/').filter(Boolean).slice(0, -1).join('/')); } else { step = 'list'; }
      tell(true, '');
      draw();
    }

    function dock() {
      var can = state && state.on_board && state.school;
      BBT.empty(end);
      /* One way back at a time. */
      BBT.toggle(back, 'hidden', step === 'files' || step === 'words' || step === 'making' || step === 'writing');
      if (step === 'list' && can) {
        end.appendChild(BBT.button({ icon: 'plus', text: t('own.new'), 'class': 'button-primary button-wide', onclick: function () { begin(null); } }));
      }
      if (step === 'files' || step === 'words') {
        end.appendChild(BBT.button({ icon: 'back', text: t(step === 'files' && !dir ? 'own.cancel' : 'own.up'), onclick: up }));
      }
      if (step === 'files') {
        next(t('own.next'), draft.files.length > 0, function () {
          if (!draft.typed && draft.files.length) { draft.title = stem(draft.files[0].name).slice(0, state.limits.chars); }
          step = 'words';
          tell(true, '');
          draw();
        });
      }
      if (step === 'words') {
        next(t('own.make'), ready() && !asking, function () {
          post('api/own-lessons', {
            disk: disk, files: draft.files.map(function (file) { return file.path; }), title: draft.title.trim(), subject: draft.subject, grade: draft.grade, lesson: draft.lesson
          }, function () { writing = ''; step = 'making'; });
        });
      }
    }

    function next(text, on, press) {
      var button = BBT.button({ icon: 'next', text: text, 'class': 'button-primary button-next button-wide', onclick: press });
      button.disabled = !on;
      end.appendChild(button);
    }

    function draw(forced) {
      var at = body.scrollTop, rows = body.querySelector('.own-rows'), inner = rows ? rows.scrollTop : 0;
      var now = JSON.stringify([state, failed, step, draft, disks, listing, dir, disk, sure, words, bad, asking, BBT.language]);
      if (now === drawn && !forced) { return; }
      /* While somebody types nothing is drawn anew under the hands. */
      if (step === 'words' && input && document.activeElement === input && !forced) { dock(); return; }
      drawn = now;
      input = null;
      BBT.empty(head);
      head.appendChild(h('h1', { text: step === 'list' || !number() ? t('own.title') : t('own.step_' + step) }));
      if (number()) { head.appendChild(h('span', { 'class': 'own-step', text: t('own.step', { n: number(), of: STEPS }) })); }
      if (step === 'files' && draft.files.length) { head.appendChild(h('span', { 'class': 'own-count', text: t('own.chosen', { n: draft.files.length, size: BBT.bytes(bytesOf()) }) })); }
      if (words && step !== 'done' && step !== 'making') { head.appendChild(h('p', { 'class': 'own-said' + (bad ? ' own-bad' : ''), role: 'status', text: words })); }
      BBT.empty(body);
      (!state ? [BBT.message({ icon: failed ? 'warn' : 'own', title: t(failed ? 'api.no_answer' : 'shelf.loading') })]
        : step === 'files' ? drawFiles() : step === 'words' ? drawWords() : step === 'making' || step === 'writing' ? drawMaking() : step === 'done' ? drawDone() : drawList()
      ).forEach(function (part) { body.appendChild(part); });
      body.scrollTop = at;
      rows = body.querySelector('.own-rows');
      if (rows) { rows.scrollTop = inner; }
      dock();
    }

    draw();
    refresh();
    look();
    return {
      el: el,
      update: function () { draw(); },
      destroy: function () { ended = true; window.clearTimeout(timer); },
      dock: [back, end]
    };
  });
}());
