import pickle
from choose import *
from harness import *
from ceiling import S as CE, key, lab, helper
from sklearn.linear_model import Ridge
DD=pickle.load(open("full.pkl","rb"))
lg=lambda p:np.log(np.clip(p,.02,.98)/(1-np.clip(p,.02,.98)))
def F(s_,l_): return np.c_[s_,l_,s_*s_,s_*l_,l_*l_,lg(s_),lg(l_)]
s_=np.array([d[3] for d in data])/100; l_=np.array([d[4] for d in data])/100
FX=F(s_,l_)
Lall=np.log([len(d[2]) for d in data])
cf={"surf":("surf",None,0,100,0),"gbm":("gbm",None,0,0,0),"uni":("words",T,3,3,0.05)}
rowsum={}
for test,d in DD.items():
    others=[k for k in CE if k!=test]
    X=np.concatenate([CE[k][0] for k in others]); Y=np.concatenate([(CE[k][2]-CE[k][2].mean())/CE[k][2].std() for k in others]); W=np.concatenate([np.full(len(CE[k][1]),1/len(CE[k][1])**.5) for k in others])
    mu,sd=X.mean(0),X.std(0)+1e-9; m=Ridge(30).fit((X-mu)/sd,Y,W/W.mean())
    c=m.predict((FX-mu)/sd)
    if test=="mmlu_pro":
        for a in (.1,.2,.3,.4,.5,.6,.7,.8,.9,.95,.98): print(a,[ (b,round(float(m.predict((F(np.array([a]),np.array([b]))-mu)/sd)[0]),2)) for b in (min(.99,a+.1),min(.99,a+.25),min(.99,a+.4))])
    te=[i for i in range(len(data)) if top[i]==test]
    tr=[i for i in range(len(data)) if not clash(test,g[i])]
    TC=[Counter(toks(p)) for p in d["P"]]
    pr={n:fit_predict(k,tr,d["S"],TC,T,c) for n,k in cf.items()}
    R={n:mid_ranks(np.round(x,6)) for n,x in pr.items()}
    R["student"]=mid_ranks(sum(pr[n]/pr[n].std() for n in cf)); R["len"]=mid_ranks(d["L"]); R["student+len"]=R["student"]+R["len"]
    for n in R: rowsum.setdefault(n,[]).append((apgr(R[n],d["pair"])-apgr(d["L"],d["pair"]),apgr(R[n],d["many"])-apgr(d["L"],d["many"])))
for n,v in rowsum.items(): print(f"{n:12s}",[f"{a:+.3f}/{b:+.3f}" for a,b in v],np.mean(v,0).round(4))
