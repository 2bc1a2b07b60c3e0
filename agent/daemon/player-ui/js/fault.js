/* 报修: what is wrong, and what exactly: two taps. The agent keeps the report until the county has it. And the question
   whether a repair has helped. Nothing is typed, so nobody can be named. */
(function () {
  'use strict';
  var BBT = window.BBT;
  var h = BBT.h, t = BBT.t;
  var ICONS = { display: 'board', touch: 'hand', sound: 'volume', network: 'link', power: 'power', accessory: 'remote', body: 'body', software: 'window', lesson: 'book', other: 'question' };
  /* As `agent_core::faults::CLASSES`, for an agent that does not say. */
  var CLASSES = [
    ['display', 'black flicker colour blurred'], ['touch', 'none offset part'], ['sound', 'none low noise'], ['network', 'offline slow'],
    ['power', 'restarts off slow_start'], ['accessory', 'remote pen usb camera'], ['body', 'loose cable noise'], ['software', 'hangs error slow'],
    ['lesson', 'not_playing wrong missing'], ['other', '']
  ].map(function (row) { return { 'class': row[0], symptoms: row[1] ? row[1].split(' ') : [] }; });

  function className(name) { return BBT.hasText('fault.' + name) ? t('fault.' + name) : t('fault.other'); }

  function symptomName(fault) {
    var key = 'symptom.' + fault['class'] + '.' + fault.symptom;
    return fault.symptom && BBT.hasText(key) ? t(key) : '';
  }

  /* 触摸：不准. */
  BBT.faultWords = function (fault) {
    return [className(fault['class']), symptomName(fault)].filter(Boolean).join(t('list.colon'));
  };

  function repairOf(fault) {
    var home = BBT.data.home;
    return ((home && home.repairs) || []).filter(function (repair) { return repair.fault === fault; })[0] || null;
  }

  function stateOf(fault) {
    var repair = fault.repair || repairOf(fault.id || fault.fault);
    var state = fault.state || (repair && repair.state);
    if (state && BBT.hasText('repair.' + state)) { return { key: state, text: t('repair.' + state), note: (repair && repair.note) || fault.note || '' }; }
    return fault.told || fault.sent ? { key: 'received', text: t('repair.received'), note: '' } : { key: 'waiting', text: t('repair.waiting'), note: '' };
  }

  /* What was reported before, newest first. */
  function history(list) {
    return h('section', { 'class': 'fault-list' }, [h('h2', { text: t('fault.before') })].concat(list.length ? list.slice(0, 8).map(function (fault) {
      var state = stateOf(fault), id = fault.id || fault.fault;
      return h(state.key === 'fixed' ? 'a' : 'div', {
        'class': 'line fault-' + state.key, href: state.key === 'fixed' ? '#/repair/' + encodeURIComponent(id) : null
      }, [
        BBT.icon(ICONS[fault['class']] || 'question'),
        h('span', { 'class': 'line-words' }, [h('strong', { text: BBT.faultWords(fault) }), h('small', { text: [state.text, state.note].filter(Boolean).join(' · ') })]),
        state.key === 'fixed' ? BBT.icon('chevron') : null
      ]);
    }) : [h('p', { 'class': 'fault-none', text: t('fault.none') })]));
  }

  BBT.view('fault', function (where) {
    var el = h('div', { 'class': 'view view-fault' });
    var chosen = where.parts[0] || '', known = null, sent = null, problem = '', busy = false, ended = false, drawn = '';
    var lesson = where.query.lesson || '';

    function classes() { return (known && known.classes) || CLASSES; }

    function send(symptom) {
      var body = { 'class': chosen, symptom: symptom };
      if (busy) { return; }
      if (lesson) { body.lesson = lesson; }
      busy = true;
      BBT.api.post('api/faults', body, function (ok, answer) {
        if (ended) { return; }
        busy = false;
        problem = ok ? '' : BBT.api.words(answer);
        sent = ok ? { 'class': chosen, symptom: symptom } : null;
        BBT.data.refresh();
        draw(true);
      });
    }

    function pick(name) {
      var symptoms = classes().filter(function (one) { return one['class'] === name; })[0];
      chosen = name;
      if (!symptoms || !symptoms.symptoms.length) { send(''); return; }
      BBT.go('#/fault/' + name + (lesson ? '?lesson=' + encodeURIComponent(lesson) : ''));
    }

    function tiles() {
      var found = classes().filter(function (one) { return one['class'] === chosen; })[0];
      if (!found || !found.symptoms.length) {
        return h('div', { 'class': 'tiles tiles-fault' }, classes().map(function (one) {
          return h('button', { type: 'button', 'class': 'tile', 'data-class': one['class'], onclick: function () { pick(one['class']); } }, [
            BBT.icon(ICONS[one['class']] || 'question'),
            h('span', { 'class': 'tile-words' }, [h('strong', { text: className(one['class']) })])
          ]);
        }));
      }
      return h('div', { 'class': 'tiles tiles-symptom' }, found.symptoms.concat(['']).map(function (symptom) {
        return h('button', { type: 'button', 'class': 'tile', 'data-symptom': symptom || 'unsure', onclick: function () { send(symptom); } }, [
          h('span', { 'class': 'tile-words' }, [h('strong', { text: symptom ? symptomName({ 'class': chosen, symptom: symptom }) || symptom : t('fault.unsure') })])
        ]);
      }));
    }

    function done() {
      var online = BBT.data.home && BBT.data.home.online;
      return BBT.message({
        icon: 'check', 'class': 'message-done', title: t('fault.sent', { what: BBT.faultWords(sent) }), text: t(online ? 'fault.sent_online' : 'fault.sent_offline'),
        button: BBT.button({ icon: 'home', text: t('home.home'), 'class': 'button-primary button-large', onclick: function () { BBT.go('#/'); } })
      });
    }

    function draw(force) {
      var home = BBT.data.home, list = (known && known.faults) || (home && home.repairs) || [];
      var now = JSON.stringify([home && home.on_board, list, home && home.repairs, sent, problem, BBT.language]);
      if (now === drawn && !force) { return; }
      drawn = now;
      BBT.empty(el);
      if (sent) { el.appendChild(done()); return; }
      if (home && home.on_board === false) {
        el.appendChild(BBT.message({ icon: 'wrench', title: t('enrol.elsewhere_title'), text: t('fault.elsewhere') }));
        return;
      }
      el.appendChild(h('section', { 'class': 'fault-pick' }, [
        h('h1', { text: chosen && ICONS[chosen] ? className(chosen) + t('list.colon') + t('fault.which') : t('fault.what') }),
        problem ? h('p', { 'class': 'said-bad', role: 'alert', text: problem }) : null, tiles()
      ]));
      el.appendChild(history(list));
    }

    draw();
    BBT.api.get('api/faults', function (ok, body) {
      if (ok && body && !ended) { known = body; draw(); }
    });
    return { el: el, update: function () { draw(); }, destroy: function () { ended = true; }, dock: [BBT.backButton(), h('div', { 'class': 'dock-end' }, [
      BBT.button({ icon: 'phone', text: t('home.help'), onclick: function () { BBT.go('#/help'); } })
    ])] };
  });

  /* Is it mended? */
  BBT.view('repair', function (where) {
    var id = where.parts[0] || '', el = h('div', { 'class': 'view view-repair' }), busy = false, said = null, problem = '', drawn = '';

    function answer(fixed) {
      return function () {
        if (busy) { return; }
        busy = true;
        BBT.api.post('api/faults/' + encodeURIComponent(id) + '/confirm', { fixed: fixed }, function (ok, body) {
          busy = false;
          said = ok ? fixed : null;
          problem = ok ? '' : BBT.api.words(body);
          BBT.data.refresh();
          update();
        });
      };
    }

    function update() {
      var repair = repairOf(id), now = JSON.stringify([repair, said, problem, BBT.language]);
      if (now === drawn) { return; }
      drawn = now;
      BBT.empty(el);
      if (said !== null) {
        el.appendChild(BBT.message({ icon: said ? 'check' : 'wrench', title: t(said ? 'repair.thanks' : 'repair.again'), text: t(said ? 'repair.thanks_text' : 'repair.again_text') }));
      } else if (!repair) {
        el.appendChild(BBT.message({ icon: 'wrench', title: t('repair.gone') }));
      } else {
        el.appendChild(BBT.message({
          icon: 'wrench', title: t('repair.ask', { what: BBT.faultWords(repair) }), text: repair.note || t('repair.ask_text'),
          more: h('div', { 'class': 'repair-answers' }, [
            problem ? h('p', { 'class': 'said-bad', role: 'alert', text: problem }) : null,
            BBT.button({ icon: 'check', text: t('repair.yes'), 'class': 'button-primary button-huge', onclick: answer(true) }),
            BBT.button({ icon: 'wrench', text: t('repair.no'), 'class': 'button-huge', onclick: answer(false) })
          ])
        }));
      }
    }
    update();
    return { el: el, update: update, dock: [BBT.backButton(), h('div', { 'class': 'dock-end' }, [BBT.homeButton()])] };
  });
}());
