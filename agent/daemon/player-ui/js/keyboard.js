/* Keys on the page, for boards that have none. They write into what they are given and never take the focus from it. */
(function () {
  'use strict';
  var BBT = window.BBT;
  var h = BBT.h, t = BBT.t;
  var ROWS = ['1234567890', 'qwertyuiop', 'asdfghjkl', 'zxcvbnm'];
  /* Held down, delete goes on. */
  var HOLD_MS = 450, AGAIN_MS = 90;

  function stay(event) { event.preventDefault(); }

  function key(text, options, press) {
    var children = options.icon ? [BBT.icon(options.icon)] : [h('span', { text: text })];
    return h('button', {
      type: 'button', 'class': 'tap' + (options['class'] ? ' ' + options['class'] : ''), tabindex: options.tab ? null : '-1',
      'aria-label': options.label || text, 'data-key': options.key || text, onclick: press, onpointerdown: stay, onmousedown: stay
    }, children);
  }

  function holding(button, press) {
    var timer = null;
    function end() { window.clearTimeout(timer); timer = null; }
    function again() { press(); timer = window.setTimeout(again, AGAIN_MS); }
    button.addEventListener('pointerdown', function () { timer = window.setTimeout(again, HOLD_MS); });
    ['pointerup', 'pointerleave', 'pointercancel'].forEach(function (name) { button.addEventListener(name, end); });
    return button;
  }

  /* keyboard({onkey(text), ondelete(), onclear(), chinese?}): letters, digits, space, delete, clear; and a key that turns letters
     into characters, which are chosen from a row above: `chinese` says that they are from the beginning. */
  BBT.keyboard = function (options) {
    var MOST = 40, pinyin = !!options.chinese, letters = '', offered = [], from = 0, call = null;
    var typed = h('span', { 'class': 'ime-letters' }), list = h('div', { 'class': 'ime-list' });
    var before = key('', { icon: 'previous', label: t('key.fewer'), key: 'fewer', 'class': 'ime-page' }, function () { page(-1); });
    var after = key('', { icon: 'next', label: t('key.more'), key: 'more', 'class': 'ime-page' }, function () { page(1); });
    var row = h('div', { 'class': 'ime', 'aria-label': t('key.candidates') }, [typed, list, before, after]);
    var turn = key('', { key: 'language', label: t('key.chinese'), 'class': 'tap-wide tap-words' }, function () { pinyin = !pinyin; flush(); show(); });
    var rows;

    /* What was typed and not chosen is written as it stands. */
    function flush() {
      var rest = letters;
      letters = '';
      offered = [];
      if (rest) { options.onkey(rest); }
    }
    function choose(one) {
      letters = letters.slice(one.used);
      offered = [];
      options.onkey(one.text);
      ask();
    }
    function ask() {
      from = 0;
      if (call) { call.abort(); call = null; }
      if (!letters) { offered = []; show(); return; }
      show();
      call = BBT.api.get('api/pinyin?q=' + letters, function (ok, body) {
        call = null;
        offered = ok && body ? body.candidates : [];
        show();
      });
    }
    function type(letter) {
      if (!pinyin || !/[a-z]/.test(letter)) { flush(); show(); options.onkey(letter); return; }
      if (letters.length < MOST) { letters += letter; ask(); }
    }
    /* Space takes the first, as everywhere. */
    function space() {
      if (letters && offered.length) { choose(offered[0]); } else if (letters) { flush(); show(); } else { options.onkey(' '); }
    }
    function erase() {
      if (letters) { letters = letters.slice(0, -1); ask(); } else { options.ondelete(); }
    }
    function page(by) {
      var shown = list.children.length, fits = 0, i;
      if (by > 0) {
        for (i = 0; i < shown; i += 1) { if (list.children[i].offsetLeft + list.children[i].offsetWidth <= list.offsetLeft + list.clientWidth) { fits += 1; } }
        from = Math.min(offered.length - 1, from + Math.max(1, fits));
      } else {
        from = Math.max(0, from - 8);
      }
      show();
    }
    function show() {
      BBT.toggle(row, 'hidden', !pinyin);
      BBT.setLabel(turn, t(pinyin ? 'key.letters' : 'key.chinese'));
      turn.firstChild.textContent = t(pinyin ? 'key.letters' : 'key.chinese');
      typed.textContent = letters;
      BBT.empty(list);
      offered.slice(from, from + 16).forEach(function (one) {
        list.appendChild(key(one.text, { 'class': 'ime-one', key: 'ime:' + one.text }, function () { choose(one); }));
      });
      before.disabled = from === 0;
      after.disabled = from + 1 >= offered.length;
    }

    rows = ROWS.map(function (line) {
      return h('div', { 'class': 'tap-row' }, line.split('').map(function (letter) {
        return key(letter, {}, function () { type(letter); });
      }));
    });
    rows[3].appendChild(holding(key('', { icon: 'erase', label: t('key.delete'), key: 'delete', 'class': 'tap-wide' }, erase), erase));
    rows.push(h('div', { 'class': 'tap-row' }, [
      key(t('key.clear'), { key: 'clear', 'class': 'tap-wide tap-words' }, function () { letters = ''; offered = []; show(); options.onclear(); }),
      turn,
      key(t('key.space'), { key: 'space', 'class': 'tap-space tap-words' }, space)
    ]));
    show();
    return h('div', { 'class': 'keyboard' }, [row].concat(rows));
  };

  /* pinPad({title, text, onsubmit(pin, done), cancel?}): digits, shown as dots; done(words|null) after the answer: words say
     what is wrong. Gives {el, key(event), say(words)}. */
  BBT.pinPad = function (options) {
    var typed = '', busy = false, MOST = 12, LEAST = 4;
    var dots = h('div', { 'class': 'pin-dots', role: 'img', 'aria-label': t('pin.digits') });
    var said = h('p', { 'class': 'pin-said', role: 'alert' });
    var submit = BBT.button({ icon: 'check', text: t('pin.ok'), 'class': 'button-primary button-large', onclick: send });
    var keys = '123456789'.split('').map(function (digit) { return key(digit, { tab: true }, function () { add(digit); }); });
    function draw() {
      var i;
      BBT.empty(dots);
      for (i = 0; i < Math.max(6, typed.length); i += 1) { dots.appendChild(h('span', { 'class': i < typed.length ? 'pin-dot pin-full' : 'pin-dot' })); }
      submit.disabled = busy || typed.length < LEAST;
    }
    function add(digit) {
      if (busy || typed.length >= MOST) { return; }
      typed += digit;
      said.textContent = '';
      draw();
    }
    function erase() {
      typed = typed.slice(0, -1);
      draw();
    }
    function send() {
      if (busy || typed.length < LEAST) { return; }
      busy = true;
      draw();
      options.onsubmit(typed, function (words) {
        busy = false;
        typed = '';
        said.textContent = words || '';
        draw();
      });
    }
    keys.push(options.cancel ? key(t('pin.cancel'), { 'class': 'tap-words', key: 'cancel', tab: true }, options.cancel) : h('span', {}));
    keys.push(key('0', { tab: true }, function () { add('0'); }));
    keys.push(key('', { icon: 'erase', label: t('key.delete'), key: 'delete', tab: true }, erase));
    draw();
    return {
      el: h('div', { 'class': 'pin' }, [
        options.title ? h('h2', { text: options.title }) : null, options.text ? h('p', { 'class': 'pin-text', text: options.text }) : null,
        dots, said, h('div', { 'class': 'pin-keys' }, keys), submit
      ]),
      say: function (words) { said.textContent = words || ''; },
      key: function (event) {
        if (/^[0-9]$/.test(event.key)) { add(event.key); return true; }
        if (event.key === 'Backspace') { erase(); return true; }
        if (event.key === 'Enter' && event.target.tagName !== 'BUTTON') { send(); return true; }
        return false;
      }
    };
  };
}());
